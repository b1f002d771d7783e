//! Simulated annealing (Kirkpatrick, Gelatt and Vecchi 1983; Metropolis et al. 1953) on the sequences of the
//! nodes: single moves of copies, a worse plan accepted with probability exp(-loss / temperature), while the
//! temperature falls with the budget.
//!
//! On many nodes each round deals the nodes out to chains, which know nothing of one another and so run in
//! parallel; the next round deals them anew. On few nodes each chain has a whole plan of its own. The number
//! of chains does not depend on the number of threads.
//!
//! FlowTime is the energy itself, and so is Cost with deadlines, with what is late on top. Under Makespan it is how
//! late copies are, squared, behind due times a little before the ends that the batches have now; whenever a better
//! plan is found, the due times move on.

use std::sync::Arc;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::model::{Algorithm, Goal, Millis};
use crate::solver::decoder::sequences::{
    Aim, Chain, Decoder, Ground, Lane, Urgency, lanes_of, schedule_of,
};
use crate::solver::goals::Score;
use crate::solver::instance::Instance;
use crate::solver::schedule::Schedule;
use crate::solver::search::Search;

use super::greedy::batch_ends;
use super::keys::generator;
use super::priced;
use super::{queues, ruin_recreate, target};

/// From so many nodes on they are dealt out to chains.
const MANY_NODES: usize = 8;
/// Chains that share the nodes, or that each have all of them.
const CHAINS: [usize; 2] = [4, 2];
/// Moves of a chain in a round: at least, for each copy, and at most.
const MOVES: (u64, u64, u64) = (5_000, 4, 40_000);
/// At most, where the plan comes from an earlier one: there is little time, and much is known.
const WARM_MOVES: u64 = 10_000;
/// Without a limit of time or iterations, so many rounds are the budget.
const MOST_ROUNDS: u64 = 100_000;
/// How far due times lie before the ends of the best plan, as parts of the way to the bound.
const FARTHEST: f64 = 0.5;
const NEAREST: f64 = 0.01;
/// Rounds without a better plan after which they move.
const PATIENCE: u64 = 20;
/// The unit of temperature under Makespan, in the energy of a copy on average.
const LATENESS: f64 = 20.0;
/// In the last part of the budget only better plans are accepted.
const QUENCH: f64 = 0.97;

/// Whether copies meet only on their nodes, so that there is something to anneal.
pub(super) fn suits(instance: &Instance) -> bool {
    Ground::suits(instance)
}

/// Searches until the budget ends. Where copies meet elsewhere too, other moves are made.
pub(super) fn run(search: &mut Search) {
    let Some(ground) = Ground::new(search.instance) else {
        return match search.instance {
            instance if target::suits(instance) => target::run(search),
            instance if queues::suits(instance) => queues::run(search),
            _ => ruin_recreate::run(search),
        };
    };
    let Some(incumbent) = search.incumbent() else {
        return;
    };
    let aim = aim(search, &incumbent.schedule, FARTHEST);
    if let Some(lanes) = lanes_of(&ground, &aim, &incumbent.schedule) {
        Annealing::new(search, &ground, aim, lanes).run(search);
    }
}

struct Annealing<'g> {
    ground: &'g Ground<'g>,
    aim: Arc<Aim>,
    /// The lanes of one plan that is dealt out, or several plans.
    plans: Vec<Vec<Lane>>,
    is_dealt: bool,
    /// Weight x duration of a copy, on average: temperatures are fractions of it.
    unit: f64,
    round: u64,
    /// How far the due times lie before the ends, as a part of what the bound allows.
    reach: f64,
    /// Rounds since the last better plan.
    missed: u64,
    /// The least energy that was offered at this aim.
    offered: i64,
    urgency: Urgency,
}

impl<'g> Annealing<'g> {
    fn new(search: &Search, ground: &'g Ground<'g>, aim: Aim, lanes: Vec<Lane>) -> Self {
        let is_dealt = lanes.len() >= MANY_NODES;
        let copies = search.instance.copies() as f64;
        let all: f64 = lanes
            .iter()
            .map(|lane| lane.weighted_durations(ground, &aim))
            .sum();
        Self {
            ground,
            aim: Arc::new(aim),
            is_dealt,
            unit: all / copies,
            round: 0,
            reach: FARTHEST,
            missed: 0,
            offered: lanes.iter().map(|lane| lane.energy).sum(),
            urgency: urgency(search),
            plans: vec![lanes; if is_dealt { 1 } else { CHAINS[1] }],
        }
    }

    fn run(mut self, search: &mut Search) {
        let copies = search.instance.copies() as u64;
        let most = if search.is_warm { WARM_MOVES } else { MOVES.2 };
        let moves = (MOVES.1 * copies).clamp(MOVES.0, most);
        let before = search.iterations();
        while !search.is_over() && self.round < MOST_ROUNDS {
            let spent = search.meter().progress();
            let spent = spent.max(self.round as f64 / MOST_ROUNDS as f64);
            self.round += 1;
            let moves_each = (search.iterations() - before) as f64 / copies as f64;
            let unit = match search.problem().goal {
                Goal::Makespan => LATENESS * self.energy() as f64 / copies as f64,
                _ => self.unit,
            };
            let temperature = unit * temperature(spent, moves_each);
            let found = self.round(search, moves, temperature);
            if let Some(schedule) = found {
                let score = Score::of(search.instance, &schedule);
                if search.offer(score, schedule, Algorithm::Annealing) {
                    self.reach = (self.reach * 2.0).min(FARTHEST);
                    self.missed = 0;
                    self.aim_again(search);
                }
            }
            self.missed += 1;
            if self.missed.is_multiple_of(PATIENCE) && search.problem().goal == Goal::Makespan {
                self.reach = if self.reach > NEAREST {
                    self.reach / 2.0
                } else {
                    FARTHEST
                };
                self.aim_again(search);
            }
        }
    }

    /// The least energy of the plans.
    fn energy(&self) -> i64 {
        let all = self
            .plans
            .iter()
            .map(|plan| plan.iter().map(|lane| lane.energy).sum());
        all.min().unwrap_or(0)
    }

    /// Lets all chains walk; the best plan if it is better than those before.
    fn round(&mut self, search: &mut Search, moves: u64, temperature: f64) -> Option<Schedule> {
        let (seed, round, ground) = (search.seed, self.round, self.ground);
        let parts = if self.is_dealt {
            deal(self.plans.remove(0), &mut generator(seed, round, u64::MAX))
        } else {
            std::mem::take(&mut self.plans)
        };
        let chains = parts.len() as u64;
        let granted = search.meter().grant(moves * chains);
        let aim = Arc::clone(&self.aim);
        let meter = search.meter();
        let walk = |(index, lanes): (usize, Vec<Lane>)| {
            let mut chain = Chain::new(ground, &aim, lanes);
            let random = &mut generator(seed, round, index as u64);
            let rest = u64::from((index as u64) < granted % chains);
            let moves = granted / chains + rest;
            let walked = chain.walk(moves, temperature, random, || meter.expired());
            (walked, chain)
        };
        let walked: Vec<(u64, Chain)> = parts.into_par_iter().enumerate().map(walk).collect();
        let (moves, walked): (Vec<u64>, Vec<Chain>) = walked.into_iter().unzip();
        search.count(moves.iter().sum());
        if self.is_dealt {
            self.gather(walked)
        } else {
            self.choose(walked)
        }
    }

    /// Puts the parts together again.
    fn gather(&mut self, chains: Vec<Chain>) -> Option<Schedule> {
        let energy: i64 = chains.iter().map(|chain| chain.best_energy).sum();
        let found = (energy < self.offered).then(|| {
            self.offered = energy;
            let best: Vec<Lane> = chains.iter().flat_map(Chain::best_lanes).collect();
            schedule_of(self.ground, &best)
        });
        self.plans = vec![chains.into_iter().flat_map(|chain| chain.lanes).collect()];
        found
    }

    /// Keeps all plans, and offers the best.
    fn choose(&mut self, chains: Vec<Chain>) -> Option<Schedule> {
        let best = chains.iter().min_by_key(|chain| chain.best_energy)?;
        let found = (best.best_energy < self.offered).then(|| {
            self.offered = best.best_energy;
            schedule_of(self.ground, &best.best_lanes())
        });
        self.plans = chains.into_iter().map(|chain| chain.lanes).collect();
        found
    }

    /// Under Makespan the due times follow the best plan; else only the weight of what is late may change.
    fn aim_again(&mut self, search: &Search) {
        let Some(incumbent) = search.incumbent() else {
            return;
        };
        let urgency = urgency(search);
        if search.problem().goal != Goal::Makespan && urgency == self.urgency {
            return;
        }
        self.urgency = urgency;
        self.aim = Arc::new(aim(search, &incumbent.schedule, self.reach));
        let mut decoder = Decoder::default();
        for lane in self.plans.iter_mut().flatten() {
            decoder.decode(self.ground, &self.aim, lane, 0);
        }
        self.offered = i64::MAX;
    }
}

/// Deals lanes out to chains.
fn deal(mut lanes: Vec<Lane>, random: &mut ChaCha8Rng) -> Vec<Vec<Lane>> {
    lanes.shuffle(random);
    let mut parts: Vec<Vec<Lane>> = vec![Vec::new(); CHAINS[0]];
    for (index, lane) in lanes.into_iter().enumerate() {
        parts[index % CHAINS[0]].push(lane);
    }
    parts
}

/// How much what is late weighs now.
fn urgency(search: &Search) -> Urgency {
    match search.incumbent() {
        Some(incumbent) if incumbent.is_in_time() => Urgency::All,
        _ => Urgency::Some,
    }
}

/// Due times that lie this part of the way from the ends of the batches to those of the bound.
fn aim(search: &Search, schedule: &Schedule, reach: f64) -> Aim {
    let instance = search.instance;
    let mut ends = batch_ends(instance, schedule);
    if instance.problem.goal == Goal::Makespan {
        for (end, bound) in ends.iter_mut().zip(priced::ends(search)) {
            let sooner = (end.saturating_sub(bound) as f64 * reach) as Millis;
            *end -= sooner.max(1);
        }
    }
    Aim::new(instance, &ends, urgency(search))
}

/// The temperature when this part of the budget is spent, as a fraction of the unit. The more moves there
/// will be for each copy, the hotter is the start; from there it falls evenly on a logarithmic scale. The
/// figures were found by trying, on batches of 20 to 5,000 tasks.
pub(super) fn temperature(spent: f64, moves_each: f64) -> f64 {
    if spent >= QUENCH {
        return 0.0;
    }
    let expected = moves_each / spent.max(1e-6);
    let hot = (0.04 * libm::pow(expected / 40_000.0, 0.6)).clamp(0.004, 0.3);
    let cold = (hot / 40.0).max(0.0005);
    hot * libm::pow(cold / hot, spent / QUENCH)
}
