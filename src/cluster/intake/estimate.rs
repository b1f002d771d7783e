//! Reads how long a task takes.

use std::collections::BTreeMap;

use super::faults::Faults;
use crate::api::{SCALING_MESSAGE, ScalingSpec, ScalingType, TaskSpec};
use crate::model::{Estimate, Exact, Scaling, exact};

/// Processing time of a task without an estimate, in ms.
const GUESSED_PROCESS: i64 = 300_000;

pub fn read_estimate(
    task: &TaskSpec,
    sized: Option<&str>,
    at: &str,
    faults: &mut Faults,
) -> Estimate {
    let spec = &task.estimate;
    let at = format!("{at}.estimate");
    let read = faults.duration(&format!("{at}.read"), spec.read.as_ref());
    let process = faults.duration(&format!("{at}.process"), spec.process.as_ref());
    let overlap = faults.decimal(&format!("{at}.overlap"), spec.overlap.as_ref(), Some(1));
    let scaling = spec
        .scaling
        .as_ref()
        .and_then(|scaling| read_scaling(scaling, sized, &format!("{at}.scaling"), faults));
    Estimate {
        read: read.unwrap_or_else(|| exact(0)),
        guessed: spec.process.is_none(),
        process: process.unwrap_or_else(|| exact(GUESSED_PROCESS)),
        scaling: scaling.unwrap_or(Scaling::Linear),
        overlap: overlap.unwrap_or_else(|| exact(0)),
    }
}

fn read_scaling(
    spec: &ScalingSpec,
    sized: Option<&str>,
    at: &str,
    faults: &mut Faults,
) -> Option<Scaling> {
    let given = [
        spec.parallel_fraction.is_some(),
        spec.exponent.is_some(),
        spec.points.is_some(),
    ];
    let wanted =
        [ScalingType::Amdahl, ScalingType::Power, ScalingType::Table].map(|kind| kind == spec.kind);
    if given != wanted {
        faults.add(at, SCALING_MESSAGE);
        return None;
    }
    match spec.kind {
        ScalingType::Linear => Some(Scaling::Linear),
        ScalingType::Amdahl => faults
            .decimal(
                &format!("{at}.parallelFraction"),
                spec.parallel_fraction.as_ref(),
                Some(1),
            )
            .map(Scaling::Amdahl),
        ScalingType::Power => {
            let field = format!("{at}.exponent");
            faults.decimal(&field, spec.exponent.as_ref(), None)?;
            let exponent: f64 = spec.exponent.as_ref()?.parse().ok()?;
            if exponent > 16.0 {
                faults.add(field, format!("{exponent} is no speed-up: at most 16"));
            }
            Some(Scaling::Power(exponent))
        }
        ScalingType::Table => read_points(spec, sized, at, faults).map(Scaling::Table),
    }
}

/// The points by amount, each with the largest speed-up up to it: more never slows down.
fn read_points(
    spec: &ScalingSpec,
    sized: Option<&str>,
    at: &str,
    faults: &mut Faults,
) -> Option<Vec<(Exact, Exact)>> {
    let mut points = BTreeMap::new();
    for (index, point) in spec.points.iter().flatten().enumerate() {
        let at = format!("{at}.points[{index}]");
        let amount = faults.units(
            &format!("{at}.amount"),
            sized.unwrap_or_default(),
            &point.amount.0,
        )?;
        let speedup = faults.decimal(&format!("{at}.speedup"), Some(&point.speedup), None)?;
        if speedup == exact(0) {
            faults.add(format!("{at}.speedup"), "a speed-up must be above 0");
            return None;
        }
        if points.insert(amount, speedup).is_some() {
            faults.add(
                format!("{at}.amount"),
                format!("{} stands twice", point.amount),
            );
            return None;
        }
    }
    if points.is_empty() {
        faults.add(format!("{at}.points"), "a table needs at least one point");
        return None;
    }
    let mut most = exact(0);
    let rising = points.into_iter().map(|(amount, speedup)| {
        most = most.clone().max(speedup);
        (amount, most.clone())
    });
    Some(rising.collect())
}
