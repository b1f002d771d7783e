//! The problem as the solver is told it, bit by bit.

use pumpkin_constraints as constraints;
use pumpkin_core::Solver;
use pumpkin_core::options::SolverOptions;
use pumpkin_core::predicate;
use pumpkin_core::predicates::Predicate;
use pumpkin_core::proof::ConstraintTag;
use pumpkin_core::variables::{DomainId, Literal, TransformableVariable};

use super::super::jobs::{Job, Jobs};
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
    pub start: DomainId,
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
    pub jobs: &'j Jobs,
    scope: Scope<'j>,
    pub solver: Solver,
    pub tag: ConstraintTag,
    /// The latest end of all, and of each copy.
    pub latest: i32,
    ends: Vec<i32>,
    /// Behind all ends.
    pub exit: i32,
    /// When the last copy has ended, at the earliest.
    pub end: DomainId,
    pub starts: Vec<DomainId>,
    /// For each way whether it is taken, and its start; `None` where it takes too long.
    pub ways: Vec<Option<(Literal, DomainId)>>,
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
}
