//! The goal Cost: what a copy costs does not depend on the others and not on when it runs, so that only the
//! cheapest modes, classes and spreads are worth a look. Waiting until they are free gives the optimum.

use crate::model::{Millis, Mode, Problem, Run, ceil_i64, exact};

use super::spread::PackedRun;
use super::{Gang, ModeView, Part, RunView};

/// Price of one pod of this run that lasts so long, in millionths, rounded up; saturates.
pub(in crate::solver) fn pod_cost(run: &Run, duration: Millis) -> i64 {
    if duration == run.duration {
        return run.cost;
    }
    ceil_i64(&(&run.price * exact(duration))).unwrap_or(i64::MAX)
}

fn cost_on(mode: &Mode, run: &RunView, duration: Millis) -> i64 {
    let run = mode.run_on(run.class);
    run.map_or(i64::MAX, |run| pod_cost(run, duration))
}

/// The least cost of the mode, in millionths; of its runs and spreads only those that have it are kept.
pub(in crate::solver) fn keep_cheapest(
    problem: &Problem,
    mode: &Mode,
    view: &mut ModeView,
) -> Option<i64> {
    let cost = |run: &RunView, duration| cost_on(mode, run, duration);
    if view.pods == 1 {
        let least = view.runs.iter().map(|run| cost(run, run.duration)).min()?;
        view.runs.retain(|run| cost(run, run.duration) == least);
        return Some(least);
    }
    let spreads = view
        .gangs
        .iter()
        .map(|gang| spread(problem, view, gang, cost));
    let spreads: Vec<(i64, Gang)> = spreads.collect();
    let on_one_node = |packed: &PackedRun| {
        let run = &view.runs[packed.run];
        cost(run, run.duration).saturating_mul(i64::from(view.pods))
    };
    let packed = view.packed.iter().flat_map(|packed| &packed.runs);
    let least = packed.map(on_one_node);
    let least = least.chain(spreads.iter().map(|spread| spread.0)).min()?;
    if let Some(packed) = &mut view.packed {
        packed.runs.retain(|run| on_one_node(run) == least);
    }
    let mut cheapest = spreads.into_iter().filter(|spread| spread.0 == least);
    view.gangs = match view.talks() || view.packed.is_some() {
        // Other domains may be as cheap, and free sooner.
        true => cheapest.map(|(_, gang)| gang).collect(),
        false => cheapest.next().into_iter().map(|(_, gang)| gang).collect(),
    };
    Some(least)
}

/// Beside each spread of a gang the cheapest one that lasts no longer: where time matters too, neither is always best.
pub(in crate::solver) fn add_cheapest_spreads(problem: &Problem, mode: &Mode, view: &mut ModeView) {
    let cost = |run: &RunView, duration| cost_on(mode, run, duration);
    let cheap = view
        .gangs
        .iter()
        .map(|gang| spread(problem, view, gang, cost).1);
    let cheap: Vec<Gang> = cheap.collect();
    view.gangs.extend(cheap);
}

/// The cheapest spread of a gang among those that last at most as long as this one, and its cost.
///
/// All pods last as long as the slowest. For each duration that this can be, the pods go to the classes that
/// are cheapest for that long, as many as there is room for; the least over all durations is that of the mode.
fn spread(
    problem: &Problem,
    view: &ModeView,
    gang: &Gang,
    cost: impl Fn(&RunView, Millis) -> i64,
) -> (i64, Gang) {
    let cost = |run: usize| cost(&view.runs[run], gang.duration);
    let mut cheapest: Vec<usize> = gang
        .parts
        .iter()
        .flat_map(|part| part.runs.iter().copied())
        .collect();
    cheapest.sort_by_key(|&run| cost(run));
    let (mut left, mut total, mut parts) = (u64::from(view.pods), 0i64, Vec::new());
    for run in cheapest {
        let nodes = problem.classes[view.runs[run].class].nodes.len() as u64;
        let room = view.runs[run]
            .slots_for(gang.duration)
            .saturating_mul(nodes);
        let pods = u32::try_from(room.min(left)).unwrap_or(u32::MAX);
        if pods > 0 {
            left -= u64::from(pods);
            total = total.saturating_add(cost(run).saturating_mul(i64::from(pods)));
            parts.push(Part {
                pods,
                runs: vec![run],
            });
        }
    }
    (
        total,
        Gang {
            duration: gang.duration,
            parts,
        },
    )
}
