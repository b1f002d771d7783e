//! The modes of a task as searches and bounds read them: those that have room for all their pods.

use num_traits::ToPrimitive;

use crate::model::{Exact, Goal, Millis, Mode, Near, PlannedTask, Problem};

use super::cheapest::{add_cheapest_spreads, keep_cheapest};
use super::profile::Request;
use super::spread::{Gang, Packed, Spreads};

/// A mode that fits somewhere.
#[derive(Clone)]
pub(in crate::solver) struct ModeView {
    /// Index into `PlannedTask::modes`.
    pub index: usize,
    pub pods: u32,
    pub request: Request,
    /// Where one pod runs, the fastest class first.
    pub runs: Vec<RunView>,
    /// How the pods of a gang may be spread; empty for a single pod.
    pub gangs: Vec<Gang>,
    /// How they all stand on one node, where the network matters.
    pub packed: Option<Packed>,
    /// The least duration on any set of nodes that holds all pods.
    pub least: Millis,
    /// What all pods use together, as the largest share of the pool's capacity over the resources.
    pub share: f64,
    /// `share` x `least`.
    pub work: f64,
    /// What a copy adds to a static goal.
    pub value: i64,
    /// What a copy uses up of each budget.
    pub spends: Vec<i64>,
    /// Whether no plan that places everything needs the mode; only looked at where there are budgets.
    pub is_spare: bool,
}

/// A mode on one class.
#[derive(Clone, Debug)]
pub(in crate::solver) struct RunView {
    pub class: usize,
    pub duration: Millis,
    /// The same by the outermost level of the network that the pods span; empty where that makes no difference.
    pub across: Vec<Millis>,
    /// The shortest spread with a pod here; `None` where there is none.
    pub least: Option<Millis>,
    /// Pods that an otherwise unplanned node holds.
    pub slots: u32,
    /// Price of one pod, in millionths for each ms; only to compare places.
    pub price: f64,
    /// Index of the group of demands in the class's timeline.
    pub group: usize,
}

impl ModeView {
    /// Whether it takes its pods time to talk across the network.
    pub fn talks(&self) -> bool {
        self.runs.iter().any(|run| !run.across.is_empty())
    }

    /// The runs of each spread, the nearest first, and whether all pods are on one node.
    pub fn scopes(&self) -> impl Iterator<Item = (Vec<usize>, bool)> + '_ {
        let packed = self.packed.iter().map(|packed| {
            let runs = packed.runs.iter().map(|packed| packed.run);
            (runs.collect(), true)
        });
        let parts = self.gangs.iter().flat_map(|gang| &gang.parts);
        packed.chain(parts.map(|part| (part.runs.clone(), false)))
    }
}

impl RunView {
    /// Pods of this duration that an otherwise unplanned node holds. What takes no time holds nothing, so that any
    /// number of pods fits.
    pub fn slots_for(&self, duration: Millis) -> u64 {
        if duration > 0 {
            self.slots.into()
        } else {
            u32::MAX.into()
        }
    }

    /// The duration of a pod of a gang that spans this level; beyond the levels, of one that spans none.
    pub fn lasting(&self, level: usize) -> Millis {
        self.across.get(level).copied().unwrap_or(self.duration)
    }
}

/// The modes that have room for all their pods once nothing else runs, or only the cheapest of them.
pub(super) fn usable_modes(
    problem: &Problem,
    task: &PlannedTask,
    only_cheapest: bool,
) -> Vec<ModeView> {
    let modes = &task.modes;
    let usable = modes
        .iter()
        .enumerate()
        .filter_map(|(index, mode)| read_mode(problem, task.near, index, mode));
    if !only_cheapest {
        let with_cheap_spreads = |mut view: ModeView| {
            if problem.goal == Goal::Cost {
                add_cheapest_spreads(problem, &modes[view.index], &mut view);
            }
            view
        };
        return usable.map(with_cheap_spreads).collect();
    }
    let mut least = None;
    let mut cheapest = Vec::new();
    for mut view in usable {
        let Some(cost) = keep_cheapest(problem, &modes[view.index], &mut view) else {
            continue;
        };
        if least.is_none_or(|least| cost < least) {
            least = Some(cost);
            cheapest.clear();
        }
        if Some(cost) == least {
            cheapest.push(view);
        }
    }
    cheapest
}

fn read_mode(problem: &Problem, near: Near, index: usize, mode: &Mode) -> Option<ModeView> {
    let request = Request::new(&mode.demand);
    let spends: Vec<i64> = (0..problem.budgets.len())
        .map(|budget| mode.spends.get(budget).map_or(0, |amount| (*amount).max(0)))
        .collect();
    let mut each = spends.iter().zip(&problem.budgets);
    if !problem.goal.is_static() && each.any(|(amount, most)| *amount > (*most).max(0)) {
        return None;
    }
    let mut runs: Vec<RunView> = Vec::new();
    for run in &mode.runs {
        let class = &problem.classes[run.class];
        let slots = request.slots(&class.free, u64::from(run.slots));
        if slots > 0 && !class.nodes.is_empty() {
            // What takes no time holds nothing, so that any number of pods fits.
            let takes_time = run
                .across
                .iter()
                .chain([&run.duration])
                .any(|time| *time > 0);
            let slots = if takes_time { slots } else { u64::MAX };
            let slots = u32::try_from(slots).unwrap_or(u32::MAX);
            runs.push(RunView {
                class: run.class,
                duration: run.duration.max(0),
                across: run.across.iter().map(|time| (*time).max(0)).collect(),
                least: None,
                slots,
                price: to_float(&run.price),
                group: 0,
            });
        }
    }
    runs.sort_by_key(|run| (run.duration, run.class));
    let Spreads { gangs, packed } = Spreads::of(problem, near, mode, &mut runs)?;
    let least = runs.iter().filter_map(|run| run.least).min()?;
    let (share, work) = (0.0, 0.0);
    Some(ModeView {
        index,
        pods: mode.pods,
        request,
        runs,
        gangs,
        packed,
        least,
        share,
        work,
        value: mode.value,
        spends,
        is_spare: false,
    })
}

fn to_float(price: &Exact) -> f64 {
    price.to_f64().unwrap_or(f64::MAX)
}
