//! Warm start: what still holds of an earlier plan, made whole again.
//!
//! Where copies meet only on their nodes, each keeps node, size and its turn there. Of those before it some may be
//! gone, and none has come; so none starts later than in the earlier plan, unless one takes longer by now or less
//! is free. Whatever has no place any more, or had none, is then inserted where it adds least (best insertion:
//! Solomon 1987), on one of the nodes with least to do. Otherwise the order of the earlier starts and the earlier
//! sizes are decoded again.

use std::collections::{BTreeSet, HashMap};

use crate::model::{Algorithm, Earlier, Goal, Millis, Mode, Place, Size};
use crate::solver::decoder::preference::Preference;
use crate::solver::decoder::sequences::{
    Aim, Decoder, Ground, Lane, Slot, Urgency, lanes_from, schedule_of,
};
use crate::solver::goals::Score;
use crate::solver::instance::Instance;
use crate::solver::schedule::Recipe;
use crate::solver::search::Search;

use super::greedy::batch_ends;

/// Places that are tried for all copies together, and for one copy at least one on each class in each size.
const TRIES: usize = 1_000_000;
/// Nodes of each class on which a copy is tried, and its turns there, counted from the last: at most.
const NODES_TRIED: usize = 12;
const TURNS_TRIED: usize = 12;
/// The plan is warm when at most one copy of so many has no earlier place.
const NEW: usize = 4;

/// Where a copy was to run.
#[derive(Clone)]
struct Kept<'e> {
    /// Index into `TaskView::modes`.
    mode: usize,
    start: Millis,
    /// The nodes as the earlier plan counts them.
    nodes: &'e [usize],
}

/// Makes the earlier plan fit the problem, and offers it.
pub(in crate::solver) fn start(search: &mut Search, earlier: &Earlier) {
    let kept = kept(search.instance, earlier);
    let known = kept.iter().flatten().count();
    if known == 0 {
        return;
    }
    search.is_warm = (kept.len() - known).saturating_mul(NEW) <= kept.len();
    let ground = Ground::new(search.instance).filter(|_| search.is_warm);
    if let Some(ground) = &ground {
        keep_turns(search, ground, earlier, &kept);
    }
    if (ground.is_none() || has_late_holds(search.instance)) && !search.is_over() {
        search.evaluate_leaders(vec![recipe(search.instance, &kept)], Algorithm::Greedy);
    }
}

/// Whether something is held only from a later time on: sequences leave the room before it empty.
fn has_late_holds(instance: &Instance) -> bool {
    let classes = instance.problem.classes.iter();
    classes
        .flat_map(|class| &class.holds)
        .any(|hold| hold.from > 0)
}

/// The places of the copies of a task, each with the entry that it stands in.
type Copies<'e> = HashMap<u32, (usize, &'e Place)>;

/// What the earlier plan says of each copy, if anything that can still be.
fn kept<'e>(instance: &Instance, earlier: &'e Earlier) -> Vec<Option<Kept<'e>>> {
    let problem = instance.problem;
    let mut places: HashMap<(&str, &str), Copies<'_>> = HashMap::new();
    for (entry, task) in earlier.tasks.iter().enumerate() {
        let name = (task.batch.as_str(), task.name.as_str());
        let of_copies = task.places.iter().map(|place| (place.copy, (entry, place)));
        places.entry(name).or_default().extend(of_copies);
    }
    let mut all = vec![None; instance.copies()];
    for (index, task) in problem.tasks.iter().enumerate() {
        let name = (problem.batches[task.batch].key.as_str(), task.name.as_str());
        let Some(places) = places.get(&name) else {
            continue;
        };
        // Copies of few sizes, each looked up once.
        let mut modes: HashMap<(usize, usize), Option<usize>> = HashMap::new();
        for (copy, number) in instance.tasks[index].copies.clone().zip(&task.copies) {
            let Some(&(entry, place)) = places.get(number) else {
                continue;
            };
            let mode = modes.entry((entry, place.size)).or_insert_with(|| {
                let size = earlier.tasks[entry].sizes.get(place.size)?;
                mode_of(instance, index, size)
            });
            all[copy] = mode.map(|mode| Kept {
                mode,
                start: place.start,
                nodes: &place.nodes,
            });
        }
    }
    all
}

/// The mode of a task, an index into `TaskView::modes`, that is of this size.
fn mode_of(instance: &Instance, task: usize, size: &Size) -> Option<usize> {
    let modes = &instance.problem.tasks[task].modes;
    let is_it = |mode: &Mode| {
        (&mode.flavor, mode.pods, &mode.requests) == (&size.flavor, size.pods, &size.requests)
    };
    let mut views = instance.tasks[task].modes.iter();
    views.position(|view| is_it(&modes[view.index]))
}

/// The order of the earlier starts and the earlier sizes. What is new comes last, in any size.
fn recipe(instance: &Instance, kept: &[Option<Kept>]) -> Recipe {
    let start = |&copy: &usize| kept[copy].as_ref().map_or(Millis::MAX, |kept| kept.start);
    let mut order: Vec<usize> = (0..instance.copies()).collect();
    order.sort_by_key(start);
    let modes = kept.iter();
    Recipe {
        order,
        modes: modes.map(|kept| Some(kept.as_ref()?.mode)).collect(),
        preference: Preference::EarliestEnd,
    }
}

/// Each copy keeps node, size and turn; the others are inserted.
fn keep_turns(search: &mut Search, ground: &Ground, earlier: &Earlier, kept: &[Option<Kept>]) {
    let instance = search.instance;
    let names = instance.problem.nodes.iter().enumerate();
    let number: HashMap<&str, usize> = names.map(|(node, name)| (name.as_str(), node)).collect();
    let nodes: Vec<Option<usize>> = earlier
        .nodes
        .iter()
        .map(|name| number.get(name.as_str()).copied())
        .collect();
    let place = |copy: u32| {
        let kept = kept[copy as usize].as_ref()?;
        let node = nodes.get(*kept.nodes.first()?).copied()??;
        Some((node, kept.mode, kept.start))
    };
    let none_due = vec![0; instance.problem.batches.len()];
    let mut aim = Aim::new(instance, &none_due, Urgency::Some);
    let (mut lanes, mut left) = lanes_from(ground, &aim, place);
    if instance.problem.goal == Goal::Makespan {
        // Only what ends after the last copy of its batch costs anything.
        aim = Aim::new(
            instance,
            &batch_ends(instance, &schedule_of(ground, &lanes)),
            Urgency::Some,
        );
        let mut decoder = Decoder::default();
        for lane in &mut lanes {
            decoder.decode(ground, &aim, lane, 0);
        }
    }
    left.sort_by(|&one, &other| turn(instance, one).total_cmp(&turn(instance, other)));
    let tries = TRIES / left.len().max(1);
    let mut insertion = Insertion::new(ground, &aim, lanes);
    for copy in left {
        insertion.insert(copy, tries);
    }
    let schedule = schedule_of(ground, &insertion.lanes);
    search.count(1);
    search.offer(Score::of(instance, &schedule), schedule, Algorithm::Greedy);
}

/// The less, the sooner it is inserted: work over weight (Smith 1956), for Makespan the most work first.
fn turn(instance: &Instance, copy: u32) -> f64 {
    let task = instance.task(copy as usize);
    let least = task.modes.iter().map(|mode| mode.work);
    let least = least.fold(f64::INFINITY, f64::min);
    match instance.problem.goal {
        Goal::Makespan => -least,
        _ => least / (task.weight.max(1) as f64),
    }
}

/// Lanes that take in copies.
struct Insertion<'g> {
    ground: &'g Ground<'g>,
    aim: &'g Aim,
    lanes: Vec<Lane>,
    /// The lanes of each class by what there is to do on them.
    least_used: Vec<BTreeSet<(u64, usize)>>,
    decoder: Decoder,
}

/// Energy, then work.
type Cost = (i64, f64);

impl<'g> Insertion<'g> {
    fn new(ground: &'g Ground<'g>, aim: &'g Aim, lanes: Vec<Lane>) -> Self {
        let mut least_used = vec![BTreeSet::new(); ground.classes.len()];
        for (index, lane) in lanes.iter().enumerate() {
            least_used[lane.class].insert((lane.work(ground), index));
        }
        Self {
            ground,
            aim,
            lanes,
            least_used,
            decoder: Decoder::default(),
        }
    }

    /// Puts the copy where it adds the least energy; of equal places that of the least work, then the first.
    fn insert(&mut self, copy: u32, tries: usize) {
        let ground = self.ground;
        let options = &ground.options[ground.instance.task_of[copy as usize]];
        let sizes: usize = options.iter().map(|(_, choices)| choices.len()).sum();
        let turns = (tries / sizes.max(1)).clamp(1, TURNS_TRIED);
        let nodes = (tries / (sizes * turns).max(1)).clamp(1, NODES_TRIED);
        let mut best: Option<(Cost, (usize, usize, Slot))> = None;
        for (class, choices) in options {
            for &(_, index) in self.least_used[*class].iter().take(nodes) {
                let lane = &self.lanes[index];
                for at in (lane.slots.len() + 1).saturating_sub(turns)..=lane.slots.len() {
                    for choice in choices.clone() {
                        let slot = Slot { copy, choice };
                        let cost = (
                            self.decoder.added(ground, self.aim, lane, at, slot),
                            ground.choice(slot).work(),
                        );
                        if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                            best = Some((cost, (index, at, slot)));
                        }
                    }
                }
            }
        }
        let Some((_, (index, at, slot))) = best else {
            return;
        };
        let lane = &mut self.lanes[index];
        self.least_used[lane.class].remove(&(lane.work(ground), index));
        lane.slots.insert(at, slot);
        self.decoder.decode(ground, self.aim, lane, at);
        self.least_used[lane.class].insert((lane.work(ground), index));
    }
}
