//! What was measured, as a line of a table and as JSON.

use std::io::{self, Write};

use serde::Serialize;

use crate::cli::number::{objective, percent};
use crate::model::{Algorithm, Goal, Unit};

/// One search of one instance. Fields, their order and their types are a contract.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    /// Family and sizes, or the name of a file.
    pub(super) instance: String,
    /// Copies of all tasks.
    pub(super) tasks: usize,
    pub(super) nodes: usize,
    pub(super) goal: Goal,
    pub(super) seed: u64,
    pub(super) algorithm: Algorithm,
    pub(super) limit: String,
    pub(super) objective: i64,
    pub(super) bound: i64,
    pub(super) bound_name: &'static str,
    pub(super) gap: Option<f64>,
    pub(super) unit: Unit,
    pub(super) unplaced: usize,
    /// Copies that end after they are due, where some are due.
    pub(super) late: Option<usize>,
    /// Time to make the problem from nodes and tasks.
    pub(super) compile_ms: f64,
    pub(super) first_plan_ms: Option<f64>,
    pub(super) elapsed_ms: f64,
    pub(super) iterations: u64,
    pub(super) iterations_per_second: u64,
    pub(super) peak_memory_bytes: Option<u64>,
    /// `row`, or `process` where the kernel does not let a peak begin anew.
    pub(super) peak_memory_of: Option<&'static str>,
    pub(super) outcome: String,
    pub(super) found_by: Algorithm,
}

/// Head and least width of each column; the last has no width.
const COLUMNS: [(&str, usize); 14] = [
    ("INSTANCE", 22),
    ("GOAL", 10),
    ("SEED", 4),
    ("ALGORITHM", 13),
    ("LIMIT", 9),
    ("OBJECTIVE", 12),
    ("BOUND", 34),
    ("GAP", 7),
    ("FIRST", 8),
    ("TIME", 8),
    ("IT/S", 8),
    ("PEAK", 7),
    ("OUTCOME", 10),
    ("FOUND BY", 0),
];

/// Writes the head of the table.
pub(super) fn write_head(out: &mut dyn Write) -> io::Result<()> {
    write_cells(out, &COLUMNS.map(|(head, _)| head.to_owned()))
}

impl Row {
    /// Writes the line of the row.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let value = |value| objective(self.unit, value);
        let time = |ms: f64| {
            if ms < 1000.0 {
                format!("{ms:.1}ms")
            } else {
                format!("{:.2}s", ms / 1000.0)
            }
        };
        let mut outcome = self.outcome.clone();
        if self.unplaced > 0 {
            outcome += &format!(" -{}", self.unplaced);
        }
        if let Some(late) = self.late.filter(|late| *late > 0) {
            outcome += &format!(" +{late}");
        }
        let peak = |bytes: u64| {
            let mark = if self.peak_memory_of == Some("row") {
                ""
            } else {
                "*"
            };
            format!("{}Mi{mark}", bytes >> 20)
        };
        write_cells(
            out,
            &[
                self.instance.clone(),
                self.goal.to_string(),
                self.seed.to_string(),
                self.algorithm.to_string(),
                self.limit.replace("iterations", "it"),
                value(self.objective),
                format!("{} ({})", value(self.bound), self.bound_name),
                self.gap.map_or("-".into(), percent),
                self.first_plan_ms.map_or("-".into(), time),
                time(self.elapsed_ms),
                self.iterations_per_second.to_string(),
                self.peak_memory_bytes.map_or("-".into(), peak),
                outcome,
                self.found_by.to_string(),
            ],
        )
    }
}

/// What the table does not say by itself.
pub(super) fn write_notes(out: &mut dyn Write, rows: &[Row]) -> io::Result<()> {
    if rows.iter().any(|row| row.unplaced > 0) {
        writeln!(out, "-N behind an outcome: so many copies are not placed")?;
    }
    let due: Vec<usize> = rows.iter().filter_map(|row| row.late).collect();
    if !due.is_empty() {
        let met = due.iter().filter(|late| **late == 0).count();
        writeln!(
            out,
            "+N behind an outcome: so many copies are late; no deadline is missed in {met} of {} plans",
            due.len()
        )?;
    }
    if rows.iter().any(|row| row.peak_memory_of == Some("process")) {
        writeln!(
            out,
            "* the peak of the process so far; this kernel does not let it begin anew"
        )?;
    }
    Ok(())
}

fn write_cells(out: &mut dyn Write, cells: &[String; COLUMNS.len()]) -> io::Result<()> {
    let last = COLUMNS.len() - 1;
    for (cell, (_, width)) in cells.iter().zip(COLUMNS).take(last) {
        write!(out, "{cell:<width$}  ")?;
    }
    writeln!(out, "{}", cells[last])
}
