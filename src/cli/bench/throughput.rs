//! Speed-ups of training jobs by number of GPUs on one node.
//!
//! Measured step times come from files `*-placements.csv` with the columns `placement,local_bsz,step_time,...`, as
//! published with Pollux (Qiao et al., OSDI 2021); a placement of one digit is so many replicas on one node.
//! Without files the law of that paper is drawn from: a step takes `(grad^g + sync^g)^(1/g)`, and of larger
//! batches each example teaches less.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::draw::Draw;
use crate::model::{Exact, exact};

/// The most GPUs of a job.
const MOST: i64 = 4;

/// (GPUs, speed-up) from 1 GPU on.
pub(super) type Curve = Vec<(Exact, Exact)>;

/// Measured curves; empty: the law.
#[derive(Clone, Debug, Default)]
pub(super) struct Curves(Vec<Curve>);

impl Curves {
    /// Reads the files of a folder, in the order of their names.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let fault = |error: std::io::Error| format!("{}: {error}", folder.display());
        let entries = fs::read_dir(folder).map_err(fault)?;
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(fault)?.path();
            if path.to_string_lossy().ends_with("-placements.csv") {
                paths.push(path);
            }
        }
        paths.sort();
        let curves = paths.iter().map(|path| {
            let text =
                fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            curve(&text).map_err(|message| format!("{}: {message}", path.display()))
        });
        let curves = curves.collect::<Result<Vec<Curve>, String>>()?;
        if curves.is_empty() {
            return Err(format!("{}: no *-placements.csv", folder.display()));
        }
        Ok(Self(curves))
    }

    /// A measured curve, or one of the law.
    pub(super) fn draw(&self, draw: &mut Draw) -> Curve {
        match draw.pick(&self.0) {
            Some(curve) => curve.clone(),
            None => law(draw),
        }
    }
}

/// The best number of examples a second on 1, 2, ... GPUs of one node, relative to one GPU.
fn curve(text: &str) -> Result<Curve, String> {
    let mut rates: BTreeMap<i64, f64> = BTreeMap::new();
    for (number, line) in text.lines().enumerate().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let read = || -> Option<(i64, f64)> {
            let (placement, size, time) = (fields.first()?, fields.get(1)?, fields.get(2)?);
            let replicas: i64 = placement.parse().ok()?;
            let (size, time): (f64, f64) = (size.parse().ok()?, time.parse().ok()?);
            let rate = replicas as f64 * size / time;
            (rate.is_finite() && rate > 0.0).then_some((replicas, rate))
        };
        let (replicas, rate) = read()
            .ok_or_else(|| format!("line {}: not placement,local_bsz,step_time", number + 1))?;
        if (1..=MOST).contains(&replicas) {
            let best = rates.entry(replicas).or_insert(rate);
            *best = best.max(rate);
        }
    }
    let one = *rates.get(&1).ok_or("no placement of one replica")?;
    Ok(rates
        .into_iter()
        .map(|(gpus, rate)| point(gpus, rate / one))
        .collect())
}

fn law(draw: &mut Draw) -> Curve {
    let (start, more) = (draw.unit() * 0.6, draw.unit() * 0.1);
    let (gamma, noise) = (1.0 + 2.0 * draw.unit(), 1.0 + 20.0 * draw.unit());
    let speedup = |gpus: i64| {
        let sync = if gpus > 1 {
            start + more * (gpus - 2) as f64
        } else {
            0.0
        };
        let step = libm::pow(1.0 + libm::pow(sync, gamma), 1.0 / gamma);
        let lesson = (noise + 1.0) / (noise + gpus as f64);
        gpus as f64 / step * lesson
    };
    (1..=MOST).map(|gpus| point(gpus, speedup(gpus))).collect()
}

/// To 6 decimals: the same on every machine.
fn point(gpus: i64, speedup: f64) -> (Exact, Exact) {
    let millionths = (speedup * 1e6).round().max(1.0) as i64;
    (exact(gpus), Exact::new(millionths.into(), 1_000_000.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_batch_of_each_placement_on_one_node_counts() {
        let text = "placement,local_bsz,step_time,sync_time\n1,4,1.0,0\n1,8,1.6,0\n2,8,2.0,0\n11,8,9.0,0\n";
        assert_eq!(curve(text), Ok(vec![point(1, 1.0), point(2, 1.6)]));
        assert!(curve("head\nx").is_err());
        assert!(curve("head\n2,8,2.0,0").is_err());
    }
}
