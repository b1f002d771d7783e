//! Tells on the screen what happens. Everything that it says comes from the simulated cluster's history, from
//! the statuses that the operator writes, and from what it takes note of.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::ledger::{Ledger, relative};
use super::names::Names;
use super::pace::Pace;
use crate::api::{Phase, TaskBatch};
use crate::cli::Error;
use crate::cli::chart::Chart;
use crate::cli::gantt::{self, Screen};
use crate::cli::wording::{self, clock};
use crate::cluster::pod::{OwnPod, Pod, PodPhase};
use crate::decide::Fact;
use crate::model::{Millis, Problem, Solution};
use crate::sim::{Cluster, Happening, Observer};

/// Writes the story of a run.
pub struct Narrator<W> {
    out: W,
    failed: Option<io::Error>,
    screen: Screen,
    pace: Pace,
    /// The clock at the bottom of the screen.
    line: ProgressBar,
    names: Names,
    ledger: Ledger,
    phases: BTreeMap<String, Phase>,
    /// Batches of which a plan was drawn.
    drawn: BTreeSet<String>,
    picture: Option<Chart>,
    /// When everything ends, as was last told.
    foreseen: Option<Millis>,
    counts: String,
}

impl<W: Write> Narrator<W> {
    /// Begins to tell.
    pub fn new(out: W, screen: Screen, pace: Pace) -> Self {
        let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            line.set_style(style);
        }
        Self {
            out,
            failed: None,
            screen,
            pace,
            line,
            names: Names::default(),
            ledger: Ledger::default(),
            phases: BTreeMap::new(),
            drawn: BTreeSet::new(),
            picture: None,
            foreseen: None,
            counts: String::new(),
        }
    }

    /// Writes a line, or several.
    pub fn say(&mut self, text: &str) {
        if self.failed.is_none() {
            let out = &mut self.out;
            self.failed = self.line.suspend(|| writeln!(out, "{text}")).err();
        }
    }

    fn tell(&mut self, at: Millis, text: &str) {
        let time = self.screen.style("2", &wording::watch(at));
        self.say(&format!("{time}  {text}"));
    }

    /// Says where everything happens.
    pub fn introduce(&mut self, cluster: &Cluster) {
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for node in cluster.nodes() {
            *kinds
                .entry(wording::summary(&node.allocatable))
                .or_default() += 1;
        }
        let kinds: Vec<String> = kinds
            .iter()
            .map(|(kind, count)| format!("{count} with {kind}"))
            .collect();
        let count = cluster.nodes().count();
        self.say(&format!(
            "A simulated cluster of {count} nodes: {}.",
            kinds.join("; ")
        ));
        self.say(
            "Nothing outside this process is touched; the operator's own loop runs against it.\n",
        );
    }

    /// Says how it went.
    pub fn conclude(&mut self, cluster: &Cluster) {
        self.line.finish_and_clear();
        let table = self.ledger.table();
        let Some((head, rows)) = table.split_first().filter(|(_, rows)| !rows.is_empty()) else {
            return self.say("Nothing has run.");
        };
        self.say(&format!(
            "\n{}\n{}\n",
            self.screen.style("1", head),
            rows.join("\n")
        ));
        for line in self.ledger.totals() {
            self.say(&line);
        }
        for batch in cluster.batches() {
            for line in wording::waiting(batch) {
                self.say(&line);
            }
        }
    }

    /// The picture of the first plan.
    pub fn picture(&self) -> Option<&Chart> {
        self.picture.as_ref()
    }

    /// Ends; a reader that has seen enough, such as `head`, is no error.
    pub fn finish(mut self) -> Result<(), Error> {
        match self.failed.map_or_else(|| self.out.flush(), Err) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    fn batch_set(&mut self, at: Millis, batch: &TaskBatch) {
        let name = batch.metadata.name.as_deref().unwrap_or_default();
        if !self.names.learn(batch) {
            return self.tell(at, &format!("{name}: the spec changed"));
        }
        let spec = &batch.spec;
        let copies: i64 = spec.tasks.iter().map(|task| task.count).sum();
        let tasks = i64::try_from(spec.tasks.len()).unwrap_or(i64::MAX);
        let (tasks, goal) = (
            wording::number_of(tasks, "task", "tasks"),
            spec.objective.goal,
        );
        let copies = wording::number_of(copies, "copy", "copies");
        self.tell(at, &format!("{name}: {tasks}, {copies}, goal {goal}"));
    }

    fn reported(&mut self, at: Millis, batch: &TaskBatch) {
        let name = batch.metadata.name.clone().unwrap_or_default();
        let Some(status) = &batch.status else { return };
        let uid = batch.metadata.uid.clone().unwrap_or_default();
        if let Some(phase) = status.phase
            && self.phases.insert(uid, phase) != Some(phase)
        {
            let done = status
                .progress
                .as_ref()
                .map_or("", |progress| progress.done.as_str());
            let text = self.screen.style("1", &format!("{name}: {phase:?}"));
            self.tell(at, &format!("{text}, {done} done"));
        }
    }

    fn planned(
        &mut self,
        at: Millis,
        problem: &Problem,
        solution: &Solution,
        elapsed: Duration,
        batches: &[String],
    ) {
        self.ledger.planned(at, problem, solution);
        let known = self.drawn.len();
        self.drawn.extend(batches.iter().cloned());
        let new = self.drawn.len() > known;
        let chart = Chart::of_plan(problem, solution);
        if new {
            let ends = solution
                .plan
                .assignments
                .iter()
                .map(|assignment| assignment.end);
            self.pace.expect(ends.max().unwrap_or(0));
            let tried = format!("{} plans tried", solution.iterations);
            let tried = if elapsed.is_zero() {
                tried
            } else {
                format!("{tried} in {:.1}s", elapsed.as_secs_f64())
            };
            self.tell(at, &format!("planned: {tried}, checked by the verifier\n"));
            self.say(&gantt::render(&chart, self.screen));
            self.picture.get_or_insert(chart);
        }
        self.foresee(at, problem, solution);
    }

    /// Tells if the end of everything has moved by a hundredth of the whole or more.
    fn foresee(&mut self, at: Millis, problem: &Problem, solution: &Solution) {
        let planned = solution
            .plan
            .assignments
            .iter()
            .map(|assignment| assignment.end);
        let held = problem
            .classes
            .iter()
            .flat_map(|class| &class.holds)
            .map(|hold| hold.until);
        let Some(end) = planned.chain(held).max().map(|end| at.saturating_add(end)) else {
            return;
        };
        match self.foreseen {
            Some(before) if (end - before).abs() < before / 100 => return,
            Some(before) => {
                let (copies, end, before) = (problem.copies(), clock(end), clock(before));
                self.tell(
                    at,
                    &format!(
                        "planned again for {copies} waiting copies: all ends at {end}, not {before}"
                    ),
                );
            }
            None => {}
        }
        self.foreseen = Some(end);
    }

    fn pod(&mut self, at: Millis, happening: &Happening, pod: &Pod, own: &OwnPod) {
        let (copy, label) = (self.names.copy(own), self.names.label(own));
        let node = pod.node.as_deref().unwrap_or("no node");
        match happening {
            Happening::PodStarted(_) => {
                let expected = own.predicted.map_or(0, |predicted| predicted.total);
                let with = wording::requests(&pod.requests);
                self.ledger.started(at, copy, label.clone(), pod, own);
                self.tell(
                    at,
                    &format!(
                        "{label} starts on {node}: {with}, for about {}",
                        clock(expected)
                    ),
                );
            }
            Happening::PodEnded(_) => {
                let lengths = self.ledger.ended(at, &copy, pod);
                let text = self.ending(&label, node, pod.phase, own, lengths);
                self.tell(at, &text);
            }
            Happening::PodRejected(_) => {
                let (reason, message) = (own.reason.as_deref(), own.message.as_deref());
                let text = format!(
                    "{label} is rejected by {node}: {}: {}",
                    reason.unwrap_or("?"),
                    message.unwrap_or("?")
                );
                self.warn(at, &text);
            }
            Happening::PodDeleted {
                by_operator: true, ..
            } if !pod.is_finished() => {
                self.tell(at, &format!("{label} is deleted from {node}"));
            }
            _ => {}
        }
    }

    fn ending(
        &self,
        label: &str,
        node: &str,
        phase: PodPhase,
        own: &OwnPod,
        lengths: Option<(Millis, Millis)>,
    ) -> String {
        let took = lengths.map_or(String::new(), |(predicted, actual)| {
            let difference =
                relative(actual, predicted).map_or(String::new(), |text| format!(" ({text})"));
            format!(" after {}{difference}", clock(actual))
        });
        if phase == PodPhase::Succeeded {
            return format!(
                "{} on {node}{took}",
                self.screen.style("32", &format!("{label} is done"))
            );
        }
        let why = own.exit.as_ref().map_or_else(
            || {
                own.reason
                    .clone()
                    .unwrap_or_else(|| "its node is gone".into())
            },
            |exit| format!("exit code {} ({})", exit.code, exit.reason),
        );
        format!(
            "{} on {node}{took}: {why}",
            self.screen.style("31", &format!("{label} failed"))
        )
    }

    fn warn(&mut self, at: Millis, text: &str) {
        let text = self.screen.style("31", text);
        self.tell(at, &text);
    }
}

impl<W: Write> Observer for Narrator<W> {
    fn happened(&mut self, at: Millis, happening: &Happening) {
        match happening {
            Happening::BatchSet(batch) => self.batch_set(at, batch),
            Happening::BatchReported(batch) => self.reported(at, batch),
            Happening::BatchGone(batch) => {
                let name = batch.metadata.name.as_deref().unwrap_or_default();
                self.tell(at, &format!("{name} is deleted"));
            }
            Happening::NodeLost(name) => self.warn(at, &format!("{name} falls silent")),
            Happening::NodeBack(name) => self.tell(at, &format!("{name} is back")),
            Happening::NodeGone(name) => self.warn(at, &format!("{name} is removed")),
            Happening::PodCreated(pod)
            | Happening::PodBound(pod)
            | Happening::PodRejected(pod)
            | Happening::PodStarted(pod)
            | Happening::PodEnded(pod)
            | Happening::PodDeleted { pod, .. }
            | Happening::PodGone(pod) => {
                if let Some(own) = &pod.own {
                    self.pod(at, happening, pod, own);
                }
            }
            Happening::NodeSet(_)
            | Happening::Told(_)
            | Happening::LateWrite
            | Happening::Observed { .. }
            | Happening::Crashed => {}
        }
    }

    fn noted(&mut self, at: Millis, fact: &Fact<'_>) {
        match fact {
            Fact::Planned {
                problem,
                solution,
                elapsed,
                batches,
            } => {
                self.planned(at, problem, solution, *elapsed, batches);
            }
            Fact::Unverified { violations } => {
                self.warn(
                    at,
                    &format!("the plan did not pass the check and is not used: {violations}"),
                );
            }
            Fact::Tasks { counts } => self.counts = wording::counts(counts),
            Fact::Acted { .. }
            | Fact::Ended { .. }
            | Fact::QueueWait { .. }
            | Fact::Deadlines(_) => {}
        }
    }

    fn passes(&mut self, from: Millis, to: Millis) {
        let (line, counts) = (&self.line, &self.counts);
        self.pace.pass(from, to, |now| {
            line.set_message(format!("{}  {counts}", wording::watch(now)));
            line.tick();
        });
    }
}
