//! Predicted against actual, copy by copy.

use std::collections::BTreeMap;

use super::names::CopyKey;
use crate::cli::number;
use crate::cli::wording::{self, clock};
use crate::cluster::pod::{OwnPod, Pod, PodPhase};
use crate::model::{Millis, Problem, Solution};

/// What was planned and seen of every copy.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The first plan of each copy: start and end, in ms of the simulation.
    planned: BTreeMap<CopyKey, (Millis, Millis)>,
    /// The newest attempt of each copy that has run.
    runs: BTreeMap<CopyKey, Run>,
}

#[derive(Clone, Debug)]
struct Run {
    label: String,
    node: String,
    size: String,
    attempt: u32,
    start: Millis,
    end: Option<Millis>,
    predicted: Option<Millis>,
    succeeded: bool,
}

impl Ledger {
    /// Keeps the plan of copies that had none.
    pub fn planned(&mut self, now: Millis, problem: &Problem, solution: &Solution) {
        for assignment in &solution.plan.assignments {
            let task = &problem.tasks[assignment.task];
            let key = (
                problem.batches[task.batch].key.clone(),
                task.name.clone(),
                assignment.copy,
            );
            let at = |moment: Millis| now.saturating_add(moment);
            self.planned
                .entry(key)
                .or_insert((at(assignment.start), at(assignment.end)));
        }
    }

    /// A pod runs.
    pub fn started(&mut self, now: Millis, copy: CopyKey, label: String, pod: &Pod, own: &OwnPod) {
        let run = Run {
            label,
            node: pod.node.clone().unwrap_or_default(),
            size: wording::size(&pod.requests),
            attempt: own.attempt,
            start: now,
            end: None,
            predicted: own.predicted.map(|predicted| predicted.total),
            succeeded: false,
        };
        self.runs.insert(copy, run);
    }

    /// A pod has ended. Returns predicted and actual length of its run.
    pub fn ended(&mut self, now: Millis, copy: &CopyKey, pod: &Pod) -> Option<(Millis, Millis)> {
        let run = self.runs.get_mut(copy)?;
        run.end = Some(now);
        run.succeeded = pod.phase == PodPhase::Succeeded;
        Some((run.predicted?, now - run.start))
    }

    /// The table of all runs by start, with its head, as lines.
    pub fn table(&self) -> Vec<String> {
        let mut runs: Vec<(&CopyKey, &Run)> = self.runs.iter().collect();
        runs.sort_by_key(|(copy, run)| (run.start, *copy));
        let head = [
            "TASK",
            "NODE",
            "SIZE",
            "START",
            "PLANNED",
            "LENGTH",
            "PREDICTED",
            "DIFFERENCE",
            "RESULT",
        ];
        let mut rows = vec![head.map(str::to_owned)];
        rows.extend(runs.into_iter().map(|(copy, run)| self.row(copy, run)));
        columns(&rows)
    }

    fn row(&self, copy: &CopyKey, run: &Run) -> [String; 9] {
        let length = run.end.map(|end| end - run.start);
        let difference = run
            .predicted
            .zip(length)
            .and_then(|(predicted, actual)| relative(actual, predicted));
        let planned = self.planned.get(copy).map(|(start, _)| clock(*start));
        let end = match (run.end, run.succeeded) {
            (None, _) => "runs".into(),
            (Some(_), true) => "done".into(),
            (Some(_), false) => format!("failed, attempt {}", run.attempt + 1),
        };
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        [
            run.label.clone(),
            run.node.clone(),
            run.size.clone(),
            clock(run.start),
            or_dash(planned),
            or_dash(length.map(clock)),
            or_dash(run.predicted.map(clock)),
            or_dash(difference),
            end,
        ]
    }

    /// When everything ended against the first plan, and how good the predicted lengths were.
    pub fn totals(&self) -> Vec<String> {
        let ended = self.runs.values().filter(|run| run.succeeded);
        let errors: Vec<f64> = ended
            .filter_map(|run| {
                let (predicted, actual) = (run.predicted?, run.end? - run.start);
                (predicted > 0).then(|| (actual - predicted).abs() as f64 / predicted as f64)
            })
            .collect();
        let mut lines = Vec::new();
        let actual = self.runs.values().filter_map(|run| run.end).max();
        let planned = self.planned.values().map(|(_, end)| *end).max();
        if let Some((actual, planned)) = actual.zip(planned) {
            let difference = relative(actual, planned)
                .map_or(String::new(), |difference| format!(" ({difference})"));
            lines.push(format!(
                "The last task ended at {}, planned was {}{difference}.",
                clock(actual),
                clock(planned)
            ));
        }
        if !errors.is_empty() {
            let mean = errors.iter().sum::<f64>() / errors.len() as f64;
            lines.push(format!(
                "{} of {} copies that ran succeeded; predicted and actual lengths differ by {} on average.",
                self.runs.values().filter(|run| run.succeeded).count(),
                self.runs.len(),
                number::percent(mean)
            ));
        }
        lines
    }
}

/// How far a value is above or below the expected one, in percent.
pub fn relative(actual: Millis, expected: Millis) -> Option<String> {
    let percent = (actual - expected) as f64 / expected as f64 * 100.0;
    (expected > 0).then(|| format!("{percent:+.1} %"))
}

/// Cells as lines, each column as wide as its widest cell.
fn columns<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
