//! Plans near a known one: most copies keep their way and their nodes and may only start at another time, a few may
//! change all of it (large neighbourhood search: Shaw, "Using constraint programming and local search methods to solve
//! vehicle routing problems", CP 1998).

use std::collections::BTreeMap;

use pumpkin_core::predicates::Predicate;
use pumpkin_core::termination::TerminationCondition;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::model::Millis;
use crate::solver::budget::Meter;
use crate::solver::instance::Instance;
use crate::solver::schedule::Schedule;
use crate::solver::search::Search;

use super::super::super::keys::generator;
use super::super::tariff::Tariff;
use super::super::{jobs::Jobs, last_end, nodes::Pick, places::Place, take};
use super::model::{Scope, Stand};
use super::prover::{Answer, Prover};
use super::{PACE, PLANS};

/// Neighbourhoods looked at before the next step; fixed, so that the number of threads does not matter.
const PROPOSALS: usize = 4;
/// Steps in one of them.
const STEPS: u64 = 1_500;
/// The fewest copies that may change.
const FEWEST: usize = 2;
/// Tells the random numbers of this search from those of others.
const STREAM: u64 = 2 << 32;

/// Makes a plan of the jobs end earlier and earlier, until the budget ends or nothing better is left.
pub(in super::super) fn repair(
    search: &mut Search,
    jobs: &Jobs,
    tariff: &Tariff,
    mut schedule: Schedule,
) {
    let (instance, seed, all) = (search.instance, search.seed, jobs.jobs.len());
    let mut size = FEWEST.max(all / 3).min(all);
    let mut round = STREAM;
    while !search.is_over() {
        round += 1;
        let meter = search.meter();
        let steps = meter.grant(PROPOSALS as u64 * STEPS * PLANS) / (PROPOSALS as u64 * PLANS);
        let near = Near {
            instance,
            jobs,
            tariff,
            meter,
            starts: starts(jobs, &schedule),
            stands: stands(instance, jobs, &schedule),
            latest: last_end(&schedule, jobs),
        };
        let look = |index: usize| {
            let random = &mut generator(seed, round, index as u64);
            near.look(size, steps, random)
        };
        let looks: Vec<(Answer, u64)> = (0..PROPOSALS).into_par_iter().map(look).collect();
        let used: u64 = looks.iter().map(|(_, used)| used).sum();
        search.count((used * PLANS).max(1));
        let is_seen = |answer: &Answer| matches!(answer, Answer::Refuted) && size == all;
        let is_failure = |answer: &Answer| matches!(answer, Answer::Failed);
        let mut answers = looks.iter().map(|(answer, _)| answer);
        if answers.clone().any(is_seen) || answers.all(is_failure) {
            return;
        }
        let mut found: Vec<Vec<Place>> = Vec::new();
        for (answer, _) in looks {
            match answer {
                Answer::Refuted => size = (size + 1).min(all),
                Answer::Unknown | Answer::Failed => size = FEWEST.max(size - 1).min(all),
                Answer::Fits(places) => found.push(places),
            }
        }
        if let Some(places) = found.iter().min_by_key(|places| end(places)) {
            take(search, &mut schedule, jobs, places);
        }
    }
}

/// A plan, and what is needed to look around it.
struct Near<'n, 'a> {
    instance: &'n Instance<'a>,
    jobs: &'n Jobs,
    tariff: &'n Tariff,
    meter: &'n Meter<'a>,
    starts: Vec<Millis>,
    stands: Vec<Option<Stand>>,
    latest: Millis,
}

impl Near<'_, '_> {
    /// The best plan in which so many copies may change, if it is better, and the steps that it took to find it.
    fn look(&self, size: usize, steps: u64, random: &mut ChaCha8Rng) -> (Answer, u64) {
        let free = self.draw(size, random);
        let mut kept = self.stands.clone();
        free.iter().for_each(|&job| kept[job] = None);
        let mut patience = Steps {
            left: steps,
            meter: self.meter,
        };
        let scope = Scope::Near(&kept);
        let Some(mut prover) = Prover::new(self.jobs, self.tariff, self.latest, scope) else {
            return (Answer::Failed, 0);
        };
        // The solver prefers what was so in the last plan that it has found: this one to begin with.
        let as_it_is = self.as_it_is(&prover, &free);
        prover.solve(self.instance, self.latest, &as_it_is, &mut patience);
        let (mut best, mut latest) = (None, self.latest);
        let answer = loop {
            let answer = prover.solve(self.instance, latest - 1, &[], &mut patience);
            let Answer::Fits(places) = answer else {
                break answer;
            };
            latest = end(&places);
            best = Some(places);
        };
        let answer = best.map_or(answer, Answer::Fits);
        (answer, steps - patience.left)
    }

    /// Copies side by side in time, or any.
    fn draw(&self, size: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.starts.len()).collect();
        if random.random::<bool>() {
            order.shuffle(random);
            order.truncate(size);
            return order;
        }
        order.sort_by_key(|&job| (self.starts[job], job));
        let first = random.random_range(0..=order.len() - size);
        order[first..first + size].to_vec()
    }

    /// What has to hold so that these copies stand as in the plan.
    fn as_it_is(&self, prover: &Prover, free: &[usize]) -> Vec<Predicate> {
        let stands = |job: &usize| self.stands[*job].as_ref();
        let is_so = |way: usize, pick: &Pick| {
            let mut stands = free.iter().filter_map(stands);
            stands.any(|stand| stand.way == way && stand.picks.contains(pick))
        };
        let spots = prover
            .spots
            .iter()
            .filter(|spot| is_so(spot.way, &spot.pick));
        spots
            .map(|spot| spot.is_taken.get_true_predicate())
            .collect()
    }
}

fn end(places: &[Place]) -> Millis {
    places.iter().map(|place| place.end).max().unwrap_or(0)
}

fn starts(jobs: &Jobs, schedule: &Schedule) -> Vec<Millis> {
    let start = |copy: usize| {
        schedule.placed[copy]
            .as_ref()
            .map_or(0, |placed| placed.start)
    };
    jobs.jobs.iter().map(|job| start(job.copy)).collect()
}

/// How each copy stands in a plan; `None` where its way is none of the jobs', since another one is no worse. The nodes
/// of a class are numbered as they come up.
fn stands(instance: &Instance, jobs: &Jobs, schedule: &Schedule) -> Vec<Option<Stand>> {
    let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
    let mut counts = vec![0; jobs.classes.len()];
    let mut stand = |job: usize| {
        let view = &jobs.jobs[job];
        let placed = schedule.placed[view.copy].as_ref()?;
        let mut pods: BTreeMap<(usize, usize), u32> = BTreeMap::new();
        for &node in schedule.nodes(placed) {
            let class = instance.class_of[node]?;
            let number = *numbers.entry(node).or_insert_with(|| {
                counts[class] += 1;
                counts[class] - 1
            });
            *pods.entry((class, number)).or_default() += 1;
        }
        let is_so = |way: &usize| {
            let way = &jobs.ways[*way];
            let has = |class: usize| way.lanes.iter().any(|lane| lane.class == class);
            way.mode == placed.mode
                && way.duration >= placed.end - placed.start
                && pods.keys().all(|(class, _)| has(*class))
                && (!way.is_packed || pods.len() == 1)
        };
        let ways = view.ways.clone().filter(is_so);
        let way = ways.min_by_key(|&way| jobs.ways[way].duration)?;
        let pick = |((class, node), pods): ((usize, usize), u32)| Pick { class, node, pods };
        let picks = pods.into_iter().map(pick).collect();
        Some(Stand { way, picks })
    };
    (0..jobs.jobs.len()).map(&mut stand).collect()
}

/// So many steps, and no more once the time is over.
struct Steps<'n, 'a> {
    left: u64,
    meter: &'n Meter<'a>,
}

impl TerminationCondition for Steps<'_, '_> {
    fn should_stop(&mut self) -> bool {
        if self.left == 0 || self.left.is_multiple_of(PACE) && self.meter.expired() {
            return true;
        }
        self.left -= 1;
        false
    }
}

#[cfg(test)]
mod tests {
    use crate::model::Goal;
    use crate::solver::Improvement;
    use crate::solver::budget::{Budget, Meter};
    use crate::solver::instance::Instance;
    use crate::solver::search::Search;
    use crate::solver::searches::{exact, greedy};
    use crate::solver::tests::problems::gangs;

    #[test]
    fn a_greedy_plan_is_repaired() {
        for seed in 0..3 {
            let mut problem = gangs(12, 4, seed);
            problem.goal = Goal::Makespan;
            let instance = Instance::new(&problem);
            let meter = Meter::new(Budget::of_iterations(60_000));
            let mut listener = |_: &Improvement| {};
            let mut search = Search::new(&instance, seed, meter, &mut listener);
            greedy::run(&mut search);
            let end = |search: &Search| search.incumbent().map(|incumbent| incumbent.score.goal);
            let greedy = end(&search);
            exact::repair(&mut search);
            assert!(end(&search) < greedy, "{greedy:?}, then {:?}", end(&search));
        }
    }
}
