//! What all searches work with: they hand in recipes, and the best plan decoded is kept.

use rayon::prelude::*;

use crate::model::{Algorithm, Problem};

use super::bounds::{Bound, Learnt};
use super::budget::Meter;
use super::decoder::Decoder;
use super::decoder::allowance::is_within;
use super::decoder::packing::Packing;
use super::goals::Score;
use super::incumbent::{Improvement, Incumbent, Listener};
use super::instance::Instance;
use super::schedule::{Recipe, Schedule};

/// So many of the best recipes are kept for the searches that start from other plans.
const MOST_LEADERS: usize = 16;

/// One run of the solver.
pub(super) struct Search<'a> {
    pub instance: &'a Instance<'a>,
    pub seed: u64,
    meter: Meter<'a>,
    workers: Vec<Worker<'a>>,
    incumbent: Option<Incumbent>,
    leaders: Vec<(Score, Recipe)>,
    /// Prices that prove a bound on the plans that place so many copies of each task.
    pub prices: Option<(Vec<u64>, Learnt)>,
    /// Whether most of the best plan comes from an earlier one.
    pub is_warm: bool,
    listener: &'a mut dyn Listener,
}

/// A decoder of one of the two kinds of goals.
enum Worker<'a> {
    Timed(Box<Decoder<'a>>),
    Static(Packing<'a>),
}

impl<'a> Worker<'a> {
    fn new(instance: &'a Instance<'a>) -> Self {
        if instance.problem.goal.is_static() {
            Worker::Static(Packing::new(instance))
        } else {
            Worker::Timed(Box::new(Decoder::new(instance)))
        }
    }

    fn decode(&mut self, recipe: &Recipe) -> Score {
        match self {
            Worker::Timed(decoder) => decoder.decode(recipe),
            Worker::Static(packing) => packing.decode(recipe),
        }
    }

    /// Decodes and improves.
    fn refine(&mut self, recipe: &Recipe) -> Score {
        match self {
            Worker::Timed(decoder) => decoder.refine(recipe),
            Worker::Static(packing) => packing.decode(recipe),
        }
    }

    fn schedule(&self) -> &Schedule {
        match self {
            Worker::Timed(decoder) => decoder.schedule(),
            Worker::Static(packing) => packing.schedule(),
        }
    }
}

/// What one worker made of its share of the recipes.
struct Share<T> {
    tried: Vec<Option<(Score, T)>>,
    best: Option<(Score, Schedule)>,
}

impl<'a> Search<'a> {
    pub fn new(
        instance: &'a Instance<'a>,
        seed: u64,
        meter: Meter<'a>,
        listener: &'a mut dyn Listener,
    ) -> Self {
        Self {
            instance,
            seed,
            meter,
            workers: Vec::new(),
            incumbent: None,
            leaders: Vec::new(),
            prices: None,
            is_warm: false,
            listener,
        }
    }

    pub fn problem(&self) -> &'a Problem {
        self.instance.problem
    }

    /// The best plan so far.
    pub fn incumbent(&self) -> Option<&Incumbent> {
        self.incumbent.as_ref()
    }

    /// Takes the best plan out.
    pub fn into_incumbent(self) -> Option<Incumbent> {
        self.incumbent
    }

    /// The best recipes so far with different scores, the best first.
    pub fn leaders(&self) -> &[(Score, Recipe)] {
        &self.leaders
    }

    /// Plans decoded so far.
    pub fn iterations(&self) -> u64 {
        self.meter.tried()
    }

    /// Whether nothing more can be won, or nothing more may be spent.
    pub fn is_over(&self) -> bool {
        match &self.incumbent {
            Some(incumbent) => incumbent.is_best(self.instance) || self.meter.exhausted(),
            None => false,
        }
    }

    /// Decodes recipes in parallel and keeps the best plan; of equal ones the first, so that the number of
    /// threads does not matter. The score of a recipe is `None` where the budget ended before it.
    pub fn evaluate(&mut self, recipes: &[Recipe], by: Algorithm) -> Vec<Option<Score>> {
        let granted = &recipes[..granted(&self.meter, recipes.len())];
        let tried = self.try_all(granted, by, 1, |worker, recipe| (worker.decode(recipe), ()));
        let scores = tried.into_iter().map(|tried| Some(tried?.0));
        let mut scores: Vec<Option<Score>> = scores.collect();
        scores.resize(recipes.len(), None);
        scores
    }

    /// The same, with each plan improved before it is judged, and handed back. The last plans of a budget that
    /// is too small for that are judged as they are.
    pub fn refine(&mut self, recipes: &[Recipe], by: Algorithm) -> Vec<Option<(Score, Schedule)>> {
        let passes = Decoder::passes(self.instance);
        let wanted = (recipes.len() as u64).saturating_mul(passes);
        let plans = self.meter.grant(wanted);
        let (full, rest) = ((plans / passes) as usize, (plans % passes) as usize);
        let mut all = self.try_all(&recipes[..full], by, passes, |worker, recipe| {
            (worker.refine(recipe), worker.schedule().clone())
        });
        let rest = &recipes[full..recipes.len().min(full + rest)];
        all.extend(self.try_all(rest, by, 1, |worker, recipe| {
            (worker.decode(recipe), worker.schedule().clone())
        }));
        all.resize_with(recipes.len(), || None);
        all
    }

    /// Tries recipes, each as so many plans, and keeps the best plan.
    fn try_all<T: Clone + Send>(
        &mut self,
        recipes: &[Recipe],
        by: Algorithm,
        passes: u64,
        plan: impl Fn(&mut Worker<'a>, &Recipe) -> (Score, T) + Sync,
    ) -> Vec<Option<(Score, T)>> {
        if recipes.is_empty() {
            return Vec::new();
        }
        let threads = rayon::current_num_threads().clamp(1, recipes.len());
        while self.workers.len() < threads {
            self.workers.push(Worker::new(self.instance));
        }
        let limit = self.incumbent.as_ref().map(|incumbent| incumbent.score);
        let meter = &self.meter;
        let run = |(index, (worker, recipes)): (usize, (&mut Worker<'a>, &[Recipe]))| {
            let stop = |at: usize| (index + at > 0 || limit.is_some()) && meter.expired();
            try_share(worker, recipes, limit, stop, &plan)
        };
        let size = recipes.len().div_ceil(threads);
        let shares: Vec<Share<T>> = if threads == 1 {
            self.workers
                .iter_mut()
                .take(1)
                .zip([recipes])
                .enumerate()
                .map(run)
                .collect()
        } else {
            let workers = self.workers.par_iter_mut();
            workers
                .zip(recipes.par_chunks(size))
                .enumerate()
                .map(run)
                .collect()
        };
        let mut all = Vec::with_capacity(recipes.len());
        let mut best: Option<(Score, Schedule)> = None;
        for share in shares {
            all.extend(share.tried);
            let is_better =
                |found: &(Score, Schedule)| best.as_ref().is_none_or(|best| found.0 < best.0);
            if let Some(found) = share.best.filter(is_better) {
                best = Some(found);
            }
        }
        let tried = all.iter().flatten().count() as u64;
        self.meter.count(tried.saturating_mul(passes));
        if let Some((score, schedule)) = best {
            self.improve(score, schedule, by);
        }
        all
    }

    /// Remembers the recipe of a plan that was just decoded, if it is the best one.
    pub fn keep_leader(&mut self, score: Score, recipe: &Recipe) {
        if self.leaders.first().is_none_or(|(best, _)| score < *best) {
            self.leaders.insert(0, (score, recipe.clone()));
            self.leaders.truncate(MOST_LEADERS);
        }
    }

    /// Decodes recipes, and remembers the best of them as leaders.
    pub fn evaluate_leaders(&mut self, recipes: Vec<Recipe>, by: Algorithm) -> Vec<Option<Score>> {
        let scores = self.evaluate(&recipes, by);
        let scored = scores
            .iter()
            .zip(recipes)
            .filter_map(|(score, recipe)| Some(((*score)?, recipe)));
        self.leaders.extend(scored);
        self.leaders.sort_by_key(|(score, _)| *score);
        self.leaders.dedup_by_key(|(score, _)| *score);
        self.leaders.truncate(MOST_LEADERS);
        scores
    }

    /// Takes over a bound on the best plan, if it is better than the one known.
    pub fn raise_bound(&mut self, bound: Bound) {
        let goal = self.problem().goal;
        let Some(incumbent) = &mut self.incumbent else {
            return;
        };
        let is_better = if goal.is_maximised() {
            bound.value < incumbent.bound.value
        } else {
            bound.value > incumbent.bound.value
        };
        if is_better {
            incumbent.bound = bound;
            let found_by = incumbent.found_by;
            self.tell(found_by);
        }
    }

    /// Takes over a plan that was made without a recipe, if it is better than the best one and within the
    /// budgets. Whether it is.
    pub fn offer(&mut self, score: Score, schedule: Schedule, by: Algorithm) -> bool {
        let incumbent = self.incumbent.as_ref();
        let is_better = incumbent.is_none_or(|incumbent| score < incumbent.score)
            && is_within(self.instance, &schedule);
        if is_better {
            self.improve(score, schedule, by);
        }
        is_better
    }

    /// Runs a search that ends at the latest when this part of the whole budget is spent.
    pub fn stage(&mut self, end: f64, run: impl FnOnce(&mut Self)) {
        self.meter.begin_stage(end);
        if !self.is_over() {
            run(self);
        }
        self.meter.begin_stage(1.0);
    }

    /// What may be spent, and what was.
    pub fn meter(&self) -> &Meter<'a> {
        &self.meter
    }

    /// Counts plans that were tried without a recipe.
    pub fn count(&mut self, plans: u64) {
        self.meter.count(plans);
    }

    fn improve(&mut self, score: Score, schedule: Schedule, by: Algorithm) {
        let incumbent = Incumbent::new(self.instance, schedule, score, by, self.incumbent.as_ref());
        self.incumbent = Some(incumbent);
        self.tell(by);
    }

    fn tell(&mut self, by: Algorithm) {
        let Some(incumbent) = &self.incumbent else {
            return;
        };
        self.listener.improved(&Improvement {
            objective: incumbent.objective(self.instance),
            bound: incumbent.bound.value,
            bound_name: incumbent.bound.name,
            unplaced: incumbent.score.unplaced,
            tardiness: incumbent.score.tardiness,
            found_by: by,
            iterations: self.meter.tried(),
        });
    }
}

/// So many of the wanted plans may be tried.
fn granted(meter: &Meter, wanted: usize) -> usize {
    usize::try_from(meter.grant(wanted as u64)).unwrap_or(wanted)
}

/// Tries recipes until told to stop, and keeps the first of the best plans that are better than `limit`.
fn try_share<'a, T: Clone>(
    worker: &mut Worker<'a>,
    recipes: &[Recipe],
    mut limit: Option<Score>,
    stop: impl Fn(usize) -> bool,
    plan: impl Fn(&mut Worker<'a>, &Recipe) -> (Score, T),
) -> Share<T> {
    let mut share = Share {
        tried: Vec::with_capacity(recipes.len()),
        best: None,
    };
    for (at, recipe) in recipes.iter().enumerate() {
        if stop(at) {
            share.tried.resize(recipes.len(), None);
            break;
        }
        let (score, more) = plan(worker, recipe);
        share.tried.push(Some((score, more)));
        if limit.is_none_or(|limit| score < limit) {
            limit = Some(score);
            share.best = Some((score, worker.schedule().clone()));
        }
    }
    share
}
