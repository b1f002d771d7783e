//! A plan for people: plain numbers, one row for each copy, one reason for each that waits.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

use super::critical;
use super::deadlines::Standing;
use crate::cli::manifest::Input;
use crate::cli::number::{gap, objective, seconds};
use crate::cli::wording::found;
use crate::cluster::quantity;
use crate::model::{Assignment, Millis, Mode, Problem, Run, Solution, Unplaced};

/// What a table is made of.
pub struct Table<'a> {
    /// What was read.
    pub input: &'a Input,
    /// What was planned.
    pub problem: &'a Problem,
    /// The plan.
    pub solution: &'a Solution,
    /// How long the search took.
    pub elapsed: Duration,
    /// Whether ends and the parts of each length are shown too.
    pub is_wide: bool,
}

impl Table<'_> {
    /// Writes it.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write_head(out)?;
        if !self.solution.plan.assignments.is_empty() {
            writeln!(out)?;
            self.write_rows(out)?;
        }
        if !self.solution.plan.unplaced.is_empty() {
            writeln!(out)?;
            self.write_unplaced(out)?;
        }
        Ok(())
    }

    fn write_head(&self, out: &mut dyn Write) -> io::Result<()> {
        let (goal, solution) = (self.problem.goal, self.solution);
        let side = if goal.is_maximised() {
            "upper"
        } else {
            "lower"
        };
        let gap = gap(solution.objective, solution.bound);
        writeln!(
            out,
            "{goal} {}, {side} bound {} ({}), gap {gap}",
            objective(goal.unit(), solution.objective),
            objective(goal.unit(), solution.bound),
            solution.bound_name,
        )?;
        self.write_deadlines(out)?;
        let placed = solution.plan.assignments.len();
        writeln!(
            out,
            "{:?}: {placed} of {} placed on {} of {} nodes; {}, seed {}, plans tried: {} in {:.1}s",
            solution.outcome,
            placed + solution.plan.unplaced.len(),
            self.used_nodes(),
            self.input.nodes.len(),
            found(solution),
            solution.seed,
            solution.iterations,
            self.elapsed.as_secs_f64(),
        )?;
        match critical::path(self.problem, solution) {
            Some((names, length)) => {
                let path = names.join(" -> ");
                writeln!(out, "critical path: {path}, {}", seconds(length))
            }
            None => Ok(()),
        }
    }

    /// How many deadlines are met, and how late the others are.
    fn write_deadlines(&self, out: &mut dyn Write) -> io::Result<()> {
        let placed = self.solution.plan.assignments.iter();
        let standings = placed.filter_map(|one| Standing::of(self.problem, self.solution, one));
        let standings: Vec<Standing> = standings.collect();
        if standings.is_empty() {
            return Ok(());
        }
        let met = standings.iter().filter(|standing| standing.is_met());
        let time = |millis: i128| seconds(Millis::try_from(millis).unwrap_or(Millis::MAX));
        writeln!(
            out,
            "Deadlines: {} of {} met, weighted tardiness {}, at least {} in every plan",
            met.count(),
            standings.len(),
            time(self.solution.tardiness),
            time(self.solution.tardiness_bound),
        )
    }

    fn used_nodes(&self) -> usize {
        let all = self
            .solution
            .plan
            .assignments
            .iter()
            .flat_map(|one| &one.nodes);
        all.collect::<BTreeSet<_>>().len()
    }

    fn write_rows(&self, out: &mut dyn Write) -> io::Result<()> {
        let several = self.problem.batches.len() > 1;
        let mut modes = self.problem.tasks.iter().flat_map(|task| &task.modes);
        let flavored = modes.any(|mode| mode.flavor.is_some());
        let guessed = self.guessed();
        let class_of = self.problem.class_of();
        let mut head = vec!["TASK", "COPY", "NODE", "START", "LENGTH"];
        if several {
            head.insert(0, "BATCH");
        }
        if self.is_wide {
            head.extend(["LOAD", "READ", "COMPUTE", "COMMUNICATE", "END"]);
        }
        let has_dues = self.problem.has_dues();
        let spans = self.spans();
        head.extend(spans.then_some("SPANS"));
        head.extend(flavored.then_some("FLAVOR"));
        head.extend(has_dues.then_some("DUE"));
        head.push("REQUESTS");
        let mut rows = vec![head.into_iter().map(str::to_owned).collect()];
        let mut assignments: Vec<&Assignment> = self.solution.plan.assignments.iter().collect();
        assignments.sort_by_key(|one| (one.start, one.task, one.copy));
        for one in assignments {
            let task = &self.problem.tasks[one.task];
            let batch = self.problem.batches[task.batch].key.as_str();
            let mode = &task.modes[one.mode];
            let mark = if guessed.contains(&(batch, task.name.as_str())) {
                "*"
            } else {
                ""
            };
            let mut row = vec![
                task.name.clone(),
                one.copy.to_string(),
                self.nodes(&one.nodes),
                seconds(one.start),
                format!("{}{mark}", seconds(one.end - one.start)),
            ];
            if several {
                row.insert(0, batch.to_owned());
            }
            if self.is_wide {
                let level = self.problem.spanned(&one.nodes);
                let slowest = slowest(mode, one, &class_of, level);
                let part = |of: fn(&Run) -> i64| slowest.map_or("-".into(), |run| seconds(of(run)));
                row.extend([
                    // Nothing is loaded: there are no variants.
                    seconds(0),
                    part(|run| run.read),
                    part(|run| run.compute),
                    seconds(self.problem.communication(one)),
                    seconds(one.end),
                ]);
            }
            row.extend(spans.then(|| self.span(one)));
            row.extend(flavored.then(|| mode.flavor.clone().unwrap_or_else(|| "-".into())));
            let standing = Standing::of(self.problem, self.solution, one);
            row.extend(has_dues.then(|| standing.map_or("-".into(), |standing| standing.words())));
            row.push(requests(mode));
            rows.push(row);
        }
        write_columns(out, &rows)?;
        if !guessed.is_empty() {
            writeln!(out, "* a guess: the task has no estimate.process")?;
        }
        Ok(())
    }

    /// Whether some gang spans a level of the network that is known.
    fn spans(&self) -> bool {
        let mut all = self.solution.plan.assignments.iter();
        all.any(|one| self.problem.level_of(one).is_some())
    }

    /// The level that a gang spans, and the share of its length that it communicates: `rack, 12% communicating`.
    fn span(&self, one: &Assignment) -> String {
        let Some(level) = self.problem.level_of(one) else {
            return "-".into();
        };
        let (part, whole) = (self.problem.communication(one), one.end - one.start);
        if part == 0 || whole <= 0 {
            return level.into();
        }
        let share = 100.0 * part as f64 / whole as f64;
        format!("{level}, {share:.0}% communicating")
    }

    /// The tasks without an estimate, as (batch, task).
    fn guessed(&self) -> BTreeSet<(&str, &str)> {
        let all = self.input.batches.iter().map(|manifest| &manifest.batch);
        all.flat_map(|batch| {
            let guessed = batch.tasks.iter().filter(|task| task.estimate.guessed);
            guessed.map(|task| (batch.key.as_str(), task.name.as_str()))
        })
        .collect()
    }

    /// Names of nodes, equal ones in a row counted: `n1 x4, n2`.
    fn nodes(&self, nodes: &[usize]) -> String {
        let groups = nodes.chunk_by(|a, b| a == b);
        let parts: Vec<_> = groups
            .map(
                |group| match (self.problem.nodes[group[0]].as_str(), group.len()) {
                    (name, 1) => name.to_owned(),
                    (name, count) => format!("{name} x{count}"),
                },
            )
            .collect();
        parts.join(", ")
    }

    fn write_unplaced(&self, out: &mut dyn Write) -> io::Result<()> {
        let all = &self.solution.plan.unplaced;
        writeln!(out, "Not placed: {}", all.len())?;
        for group in all.chunk_by(same_reason) {
            let one = &group[0];
            writeln!(out, "  {}/{} {}", one.batch, one.task, copies(group))?;
            writeln!(out, "    {}: {}", one.reason, one.message)?;
            if let Some(fix) = &one.fix {
                writeln!(out, "    fix: {fix}")?;
            }
        }
        Ok(())
    }
}

fn same_reason(a: &Unplaced, b: &Unplaced) -> bool {
    let key = |one: &Unplaced| {
        (
            one.batch.clone(),
            one.task.clone(),
            one.reason,
            one.message.clone(),
            one.fix.clone(),
        )
    };
    key(a) == key(b) && a.copy + 1 == b.copy
}

/// `copy 3`, or `copies 3-17`.
fn copies(group: &[Unplaced]) -> String {
    match group {
        [one] => format!("copy {}", one.copy),
        [first, .., last] => format!("copies {}-{}", first.copy, last.copy),
        [] => String::new(),
    }
}

fn slowest<'a>(
    mode: &'a Mode,
    one: &Assignment,
    class_of: &[Option<usize>],
    level: usize,
) -> Option<&'a Run> {
    let runs = one
        .nodes
        .iter()
        .filter_map(|node| mode.run_on(class_of[*node]?));
    runs.max_by_key(|run| run.lasting(level))
}

fn requests(mode: &Mode) -> String {
    let parts: Vec<_> = mode
        .requests
        .iter()
        .map(|(name, amount)| format!("{name} {}", quantity::format(name, amount)))
        .collect();
    if parts.is_empty() {
        "-".into()
    } else {
        parts.join(", ")
    }
}

/// Columns as wide as their widest cell, two blanks apart, nothing after the last one.
fn write_columns(out: &mut dyn Write, rows: &[Vec<String>]) -> io::Result<()> {
    let count = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    for row in rows {
        for (cell, width) in row.iter().zip(&widths).take(count.saturating_sub(1)) {
            write!(out, "{cell:<width$}  ")?;
        }
        writeln!(out, "{}", row.last().map_or("", String::as_str))?;
    }
    Ok(())
}
