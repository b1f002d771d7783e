//! The problem as the solver is told it, bit by bit.

use std::collections::BTreeMap;

use pumpkin_constraints as constraints;
use pumpkin_core::Solver;
use pumpkin_core::options::SolverOptions;
use pumpkin_core::predicate;
use pumpkin_core::predicates::Predicate;
use pumpkin_core::proof::ConstraintTag;
use pumpkin_core::variables::{DomainId, Literal, TransformableVariable};

use crate::model::Millis;

use super::super::jobs::{Curve, Job, Jobs, Lane, Way};
use super::super::nodes::Pick;
use super::super::tariff::Tariff;

/// Times and amounts are below this, so that sums of three fit 32 bits.
pub(super) const LARGEST: i64 = 1 << 29;
/// The most places of ways on nodes.
const MOST_PLACES: usize = 4_000;

/// So many pods of a way on a node, and whether they are there.
pub(super) struct Spot {
    pub way: usize,
    pub pick: Pick,
    pub is_taken: Literal,
    start: DomainId,
}

/// Something that takes an amount from a start on, for so long.
struct Use {
    start: DomainId,
    duration: i32,
    amount: i64,
}

/// Which plans the model has.
#[derive(Clone, Copy)]
pub(super) enum Scope<'s> {
    /// All, with each class as one node.
    Classes,
    /// All.
    Nodes,
    /// Those in which the copies with a stand keep it, and may start at another time.
    Near(&'s [Option<Stand>]),
}

/// The way and the nodes of a copy.
#[derive(Clone)]
pub(super) struct Stand {
    pub way: usize,
    pub picks: Vec<Pick>,
}

/// What the solver is told, bit by bit.
pub(super) struct Model<'j> {
    jobs: &'j Jobs,
    scope: Scope<'j>,
    pub solver: Solver,
    tag: ConstraintTag,
    /// The latest end of all, and of each copy.
    latest: i32,
    ends: Vec<i32>,
    /// Behind all ends.
    exit: i32,
    /// When the last copy has ended, at the earliest.
    pub end: DomainId,
    pub starts: Vec<DomainId>,
    /// For each way whether it is taken, and its start; `None` where it takes too long.
    ways: Vec<Option<(Literal, DomainId)>>,
    pub spots: Vec<Spot>,
    /// So many nodes of each class are told apart: more are never needed.
    sizes: Vec<usize>,
}

impl<'j> Model<'j> {
    /// Plans that end by `latest`; `None` where numbers are too large or too many.
    pub fn build(jobs: &'j Jobs, tariff: &Tariff, latest: i32, scope: Scope<'j>) -> Option<Self> {
        let has_nodes = !matches!(scope, Scope::Classes);
        let mut model = Self::new(jobs, latest, scope);
        for job in 0..jobs.jobs.len() {
            model.add_job(job)?;
        }
        if has_nodes {
            model.add_spots()?;
            model.share_nodes()?;
        }
        model.share_classes(has_nodes)?;
        model.pay(tariff);
        model.keep_budgets();
        Some(model)
    }

    fn new(jobs: &'j Jobs, latest: i32, scope: Scope<'j>) -> Self {
        let mut solver = Solver::with_options(SolverOptions {
            memory_preallocated: 1,
            ..SolverOptions::default()
        });
        let needed = |class: usize| {
            let pods = |job: &Job| {
                let ways = jobs.ways[job.ways.clone()].iter();
                let here = ways.filter(|way| way.lanes.iter().any(|lane| lane.class == class));
                here.map(|way| way.pods as usize).max().unwrap_or(0)
            };
            jobs.jobs.iter().map(pods).sum::<usize>()
        };
        let sizes = jobs.classes.iter().enumerate();
        let ends = jobs.deadlines(|_| latest.into()).into_iter();
        Self {
            jobs,
            scope,
            tag: solver.new_constraint_tag(),
            latest,
            exit: latest + 1,
            ends: ends.map(|end| end.max(-1) as i32).collect(),
            end: solver.new_bounded_integer(0, latest),
            solver,
            starts: Vec::new(),
            ways: vec![None; jobs.ways.len()],
            spots: Vec::new(),
            sizes: sizes
                .map(|(class, view)| view.size.min(needed(class)))
                .collect(),
        }
    }

    fn stand(&self, job: usize) -> Option<&'j Stand> {
        match self.scope {
            Scope::Near(stands) => stands[job].as_ref(),
            Scope::Classes | Scope::Nodes => None,
        }
    }

    /// A start up to `last` where the literal holds, else the exit.
    fn new_use(&mut self, head: i32, last: i32) -> (Literal, DomainId) {
        let exit = self.exit;
        let start = self.solver.new_bounded_integer(head, exit);
        let is_taken = self
            .solver
            .new_literal_for_predicate(predicate!(start <= last), self.tag);
        self.solver.add_clause(
            [is_taken.get_true_predicate(), predicate!(start >= exit)],
            self.tag,
        );
        (is_taken, start)
    }

    fn equal_if(&mut self, literal: Literal, one: DomainId, other: DomainId) {
        let equal = constraints::binary_equals(one, other, self.tag);
        self.solver.add_constraint(equal).implied_by(literal);
    }

    /// At most one of these holds.
    fn at_most_one(&mut self, literals: &[Literal]) {
        for (index, one) in literals.iter().enumerate() {
            for other in &literals[..index] {
                let clause = [one.get_false_predicate(), other.get_false_predicate()];
                self.solver.add_clause(clause, self.tag);
            }
        }
    }

    fn add_job(&mut self, job: usize) -> Option<()> {
        let (jobs, view) = (self.jobs, &self.jobs.jobs[job]);
        let (head, end) = (i32::try_from(view.head).ok()?, self.ends[job]);
        let least = i32::try_from(view.least).ok()?;
        let start = self
            .solver
            .new_bounded_integer(head, (end - least).max(head));
        self.starts.push(start);
        // Copies that stand somewhere may be in any order.
        let is_free = |job: &usize| self.stand(*job).is_none();
        if let Some(twin) = view.twin.filter(|twin| is_free(twin) && is_free(&job)) {
            let order = constraints::binary_less_than_or_equals(self.starts[twin], start, self.tag);
            self.solver.add_constraint(order).post();
        }
        for before in (0..job).filter(|before| view.before >> before & 1 == 1) {
            for way in jobs.jobs[before].ways.clone() {
                if let Some((is_taken, _)) = self.ways[way] {
                    let duration = jobs.ways[way].duration as i32;
                    self.after(is_taken, self.starts[before], duration, start);
                }
            }
        }
        let mut taken = Vec::new();
        let stand = self.stand(job);
        for way in view.ways.clone() {
            let duration = jobs.ways[way].duration as i32;
            let last = end - duration;
            if last < head || stand.is_some_and(|stand| stand.way != way) {
                continue;
            }
            let (is_taken, own) = self.new_use(head, last);
            self.ways[way] = Some((is_taken, own));
            taken.push(is_taken);
            self.equal_if(is_taken, own, start);
            let rest = duration + (self.latest - end);
            self.after(is_taken, start, rest, self.end);
        }
        let never = self.solver.get_false_literal();
        let some = taken.iter().chain([&never]);
        let some: Vec<Predicate> = some.map(Literal::get_true_predicate).collect();
        self.solver.add_clause(some, self.tag);
        self.at_most_one(&taken);
        Some(())
    }

    /// Where the literal holds, `second` is not before `first` and so many ms.
    fn after(&mut self, literal: Literal, first: DomainId, length: i32, second: DomainId) {
        let (first, second) = (first.offset(length), second.offset(0));
        let order = constraints::binary_less_than_or_equals(first, second, self.tag);
        self.solver.add_constraint(order).implied_by(literal);
    }

    fn add_spots(&mut self) -> Option<()> {
        for (way, own) in self.ways.clone().into_iter().enumerate() {
            if let Some((is_taken, start)) = own {
                self.add_spots_of(way, is_taken, start)?;
            }
        }
        Some(())
    }

    /// The pods of a way on each node: all of them somewhere, and one at least where they take as long as the way.
    fn add_spots_of(&mut self, way: usize, is_way: Literal, start: DomainId) -> Option<()> {
        let (jobs, view) = (self.jobs, &self.jobs.ways[way]);
        if let Some(stand) = self.stand(view.job) {
            self.spots.extend(stand.picks.iter().map(|&pick| Spot {
                way,
                pick,
                is_taken: is_way,
                start,
            }));
            return Some(());
        }
        if let [lane] = view.lanes.as_slice()
            && self.sizes[lane.class] == 1
        {
            let (class, node, pods) = (lane.class, 0, view.pods);
            self.spots.push(Spot {
                way,
                pick: Pick { class, node, pods },
                is_taken: is_way,
                start,
            });
            return Some(());
        }
        let head = self.solver.lower_bound(&start);
        let last = self.ends[view.job] - view.duration as i32;
        let (mut sum, mut slow) = (Vec::new(), vec![is_way.get_false_predicate()]);
        for lane in &view.lanes {
            let class = lane.class;
            let steps = jobs.classes[class].base.steps_from(0);
            let most = steps.map(|(_, free)| view.request.slots(free, view.pods.into()));
            let most = u32::try_from(most.max().unwrap_or(0)).unwrap_or(u32::MAX);
            // What takes no time holds nothing.
            let most = if view.duration == 0 { view.pods } else { most };
            for node in 0..self.sizes[class] {
                let mut here = Vec::new();
                for pods in 1..=most.min(view.pods) {
                    if view.is_packed && pods < view.pods {
                        continue;
                    }
                    if self.spots.len() == MOST_PLACES {
                        return None;
                    }
                    let (is_taken, own) = self.new_use(head, last);
                    let with_way = [is_taken.get_false_predicate(), is_way.get_true_predicate()];
                    self.solver.add_clause(with_way, self.tag);
                    self.equal_if(is_taken, own, start);
                    sum.push(is_taken.get_integer_variable().scaled(pods as i32));
                    here.push(is_taken);
                    if lane.is_slowest || !lane.lasting.is_empty() {
                        slow.push(is_taken.get_true_predicate());
                    }
                    self.spots.push(Spot {
                        way,
                        pick: Pick { class, node, pods },
                        is_taken,
                        start: own,
                    });
                }
                self.at_most_one(&here);
            }
        }
        sum.push(is_way.get_integer_variable().scaled(-(view.pods as i32)));
        let all = constraints::equals(sum, 0, self.tag);
        self.solver.add_constraint(all).post();
        self.solver.add_clause(slow, self.tag);
        Some(())
    }

    /// No node is overfull.
    fn share_nodes(&mut self) -> Option<()> {
        let mut uses: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        for (index, spot) in self.spots.iter().enumerate() {
            let node = uses.entry((spot.pick.class, spot.pick.node)).or_default();
            node.push(index);
        }
        for ((class, _), spots) in uses {
            for resource in 0..self.jobs.stride {
                let own = |&index: &usize| {
                    let spot = &self.spots[index];
                    let way = &self.jobs.ways[spot.way];
                    Use {
                        start: spot.start,
                        duration: way.duration as i32,
                        amount: way.request.usage[resource].saturating_mul(spot.pick.pods.into()),
                    }
                };
                let all = spots.iter().map(own).collect();
                let free = self.jobs.classes[class].base.steps_from(0);
                let free = free.map(|(time, free)| (time, free[resource].max(0)));
                let free = free.collect();
                self.share(all, free)?;
            }
        }
        Some(())
    }

    /// Nor is a class, as if it were one node, nor are all classes together.
    fn share_classes(&mut self, has_nodes: bool) -> Option<()> {
        let curves = &self.jobs.curves;
        for curve in curves {
            let is_node = self.jobs.classes[curve.class].size == 1;
            let is_known = has_nodes && is_node && curve.gauge.is_plain();
            self.share_as_one(&[*curve], is_known)?;
        }
        let [first, others @ ..] = self.jobs.classes.as_slice() else {
            return Some(());
        };
        for curve in curves[first.curves.clone()]
            .iter()
            .filter(|_| !others.is_empty())
        {
            let like = |other: &&Curve| {
                other.resource == curve.resource && other.gauge.is_like(&curve.gauge)
            };
            let all: Vec<Curve> = curves.iter().filter(like).copied().collect();
            if all.len() == self.jobs.classes.len() {
                self.share_as_one(&all, false)?;
            }
        }
        Some(())
    }

    /// What runs on these classes alone takes no more than they have together, over all time, and at no time, which may be
    /// known already.
    fn share_as_one(&mut self, curves: &[Curve], is_known: bool) -> Option<()> {
        let jobs = self.jobs;
        let here = |class: usize| curves.iter().find(|curve| curve.class == class);
        let amount = |way: &Way| -> Option<i64> {
            let own = |lane: &Lane| here(lane.class).map(|curve| curve.share(way) as i64);
            way.lanes
                .iter()
                .map(own)
                .collect::<Option<Vec<i64>>>()?
                .into_iter()
                .min()
        };
        let (mut uses, mut areas) = (Vec::new(), Vec::new());
        for (way, own) in jobs.ways.iter().zip(&self.ways) {
            if let (Some(amount), Some((is_taken, start))) = (amount(way), *own) {
                let duration = way.duration as i32;
                uses.push(Use {
                    start,
                    duration,
                    amount,
                });
                areas.push((is_taken, i128::from(amount) * i128::from(way.duration)));
            }
        }
        let mut free: BTreeMap<Millis, i64> = BTreeMap::new();
        for curve in curves {
            let view = &jobs.classes[curve.class];
            let mut was = 0;
            for (time, amounts) in view.base.steps_from(0) {
                let now = (curve.room(amounts) * view.size as f64) as i64;
                let free = free.entry(time).or_default();
                *free = free.saturating_add(now.saturating_sub(was));
                was = now;
            }
        }
        let mut sum = 0;
        let free: Vec<(Millis, i64)> = free
            .into_iter()
            .map(|(time, change)| {
                sum = change.saturating_add(sum);
                (time, sum)
            })
            .collect();
        let ends = free
            .iter()
            .skip(1)
            .map(|(time, _)| *time)
            .chain([Millis::MAX]);
        let latest = Millis::from(self.latest);
        let room = free.iter().zip(ends).map(|(&(from, free), until)| {
            i128::from(free) * i128::from(until.min(latest) - from.min(latest))
        });
        let room = room.sum();
        self.fill(&areas, room);
        if is_known {
            return Some(());
        }
        self.share(uses, free)
    }

    /// What is used up is within the budgets.
    fn keep_budgets(&mut self) {
        for (budget, &most) in self.jobs.budgets.iter().enumerate() {
            let spent = |(way, own): (&Way, &Option<(Literal, DomainId)>)| {
                own.map(|(is_taken, _)| (is_taken, i128::from(way.spends[budget])))
            };
            let ways = self.jobs.ways.iter().zip(&self.ways);
            let spent: Vec<_> = ways.filter_map(spent).collect();
            self.fill(&spent, most.max(0).into());
        }
    }

    /// The areas of what is taken are within the room.
    fn fill(&mut self, areas: &[(Literal, i128)], room: i128) {
        let total: i128 = areas.iter().map(|(_, area)| *area).sum();
        if total <= room {
            return;
        }
        let unit = total / i128::from(LARGEST) + 1;
        // The solver takes no terms that are nothing.
        let term = |&(is_taken, area): &(Literal, i128)| {
            let area = (area / unit) as i32;
            (area > 0).then(|| is_taken.get_integer_variable().scaled(area))
        };
        let terms: Vec<_> = areas.iter().filter_map(term).collect();
        let within = constraints::less_than_or_equals(terms, (room / unit) as i32, self.tag);
        self.solver.add_constraint(within).post();
    }

    /// What all copies pay at some prices is within the price of all room (see `tariff`). Waits may pay a copy more than
    /// its room costs, so what counts is how much more than the least of the copy a way costs.
    fn pay(&mut self, tariff: &Tariff) {
        let jobs = self.jobs;
        let price = |way: usize| tariff.floor(way, jobs.jobs[jobs.ways[way].job].head as f64);
        let (mut prices, mut room) = (Vec::new(), tariff.rent + tariff.margin);
        let mut scale = room.abs();
        for job in &jobs.jobs {
            let ways = job.ways.clone().filter(|&way| self.ways[way].is_some());
            let least = ways.clone().map(price).fold(f64::INFINITY, f64::min);
            for way in ways {
                if let Some((is_taken, _)) = self.ways[way] {
                    prices.push((is_taken, price(way) - least));
                }
            }
            room -= least;
            scale += least.abs();
        }
        // Whole numbers, rounded so that nothing is refuted that is not.
        let one = (1u64 << 40) as f64 / scale;
        if !(one.is_finite()
            && room.is_finite()
            && prices.iter().all(|(_, price)| price.is_finite()))
        {
            return;
        }
        let whole = |(is_taken, price): (Literal, f64)| (is_taken, (price * one) as i128);
        let prices: Vec<_> = prices.into_iter().map(whole).collect();
        self.fill(&prices, (room.max(0.0) * one * (1.0 + 1e-6)) as i128 + 1);
    }

    /// At no time do these take more than is free, by steps in time.
    fn share(&mut self, mut uses: Vec<Use>, free: Vec<(Millis, i64)>) -> Option<()> {
        uses.retain(|one| one.amount > 0 && one.duration > 0);
        if uses.is_empty() {
            return Some(());
        }
        // Whole units are enough.
        let unit = uses.iter().fold(0, |unit, one| gcd(unit, one.amount));
        uses.iter_mut().for_each(|one| one.amount /= unit);
        let free: Vec<(Millis, i64)> = free
            .into_iter()
            .map(|(time, free)| (time, free / unit))
            .filter(|(time, _)| *time < self.exit.into())
            .collect();
        let most = free.iter().map(|(_, free)| *free).max().unwrap_or(0);
        let all: i64 = uses
            .iter()
            .map(|one| one.amount)
            .try_fold(0i64, i64::checked_add)?;
        let capacity = most.min(all).checked_add(all)?;
        if capacity >= LARGEST {
            return None;
        }
        let ends = free.iter().skip(1).map(|(time, _)| *time);
        let ends: Vec<Millis> = ends.chain([self.exit.into()]).collect();
        for (&(from, free), until) in free.iter().zip(ends) {
            let held = capacity - free.min(most.min(all));
            let start = self.solver.new_bounded_integer(from as i32, from as i32);
            uses.push(Use {
                start,
                duration: (until - from) as i32,
                amount: held,
            });
        }
        let cumulative = constraints::cumulative(
            uses.iter().map(|one| one.start).collect::<Vec<_>>(),
            uses.iter().map(|one| one.duration).collect::<Vec<_>>(),
            uses.iter().map(|one| one.amount as i32).collect::<Vec<_>>(),
            capacity as i32,
            self.tag,
        );
        self.solver.add_constraint(cumulative).post();
        Some(())
    }
}

/// The greatest common divisor.
fn gcd(mut one: i64, mut other: i64) -> i64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}
