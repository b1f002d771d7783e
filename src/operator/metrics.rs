//! Metrics. No label ever holds a name that a user chose: their number stays bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::store::lock;
use crate::api::{Reason, TaskPhase};
use crate::decide::{Action, Deadlines, Outcome};
use crate::model::Goal;

/// A set of labels: names that are fixed, values from lists that are fixed.
type Labels<const N: usize> = [(&'static str, &'static str); N];

type Float = Gauge<f64, AtomicU64>;
type ByGoal = Family<Labels<1>, Histogram, fn() -> Histogram>;

/// Everything that is measured.
pub struct Metrics {
    registry: Registry,
    plan_seconds: ByGoal,
    plan_gap: Family<Labels<1>, Float>,
    plans_unverified: Counter,
    tasks: Family<Labels<2>, Gauge>,
    tasks_shown: Mutex<BTreeSet<Labels<2>>>,
    creates: Family<Labels<1>, Counter>,
    binds: Family<Labels<1>, Counter>,
    releases: Family<Labels<1>, Counter>,
    take_backs: Family<Labels<1>, Counter>,
    deletes: Family<Labels<1>, Counter>,
    queue_wait: Histogram,
    deadline_misses: Counter,
    deadlines_at_risk: Gauge,
    prediction_error: Histogram,
    rounds: Family<Labels<1>, Counter>,
    unreadable: Family<Labels<1>, Gauge>,
    leader: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        // Plans take from a millisecond to the user's time limit: 1 ms to 65 s.
        let plan_seconds = || Histogram::new(powers(0.001, 2.0, 17));
        let mut metrics = Self {
            registry: Registry::with_prefix("taskbatch"),
            plan_seconds: ByGoal::new_with_constructor(plan_seconds),
            plan_gap: Family::default(),
            plans_unverified: Counter::default(),
            tasks: Family::default(),
            tasks_shown: Mutex::default(),
            creates: Family::default(),
            binds: Family::default(),
            releases: Family::default(),
            take_backs: Family::default(),
            deletes: Family::default(),
            deadline_misses: Counter::default(),
            deadlines_at_risk: Gauge::default(),
            // Waits reach from a moment to days: 0.1 s to 4.8 days.
            queue_wait: Histogram::new(powers(0.1, 4.0, 12)),
            // 0.1 % to ten times as long as predicted.
            prediction_error: Histogram::new([
                0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
            ]),
            rounds: Family::default(),
            unreadable: Family::default(),
            leader: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

fn powers(first: f64, factor: f64, count: u16) -> impl Iterator<Item = f64> {
    prometheus_client::metrics::histogram::exponential_buckets(first, factor, count)
}

impl Metrics {
    fn register(&mut self) {
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        let all = &mut self.registry;
        all.register("build", "The version that runs", build);
        all.register("leader", "Whether this replica leads", self.leader.clone());
        all.register(
            "rounds",
            "Rounds of the loop, by result",
            self.rounds.clone(),
        );
        all.register(
            "plan_seconds",
            "How long searches took, by goal",
            self.plan_seconds.clone(),
        );
        let help = "Distance of the newest plan's objective from its bound, by goal";
        all.register("plan_gap_ratio", help, self.plan_gap.clone());
        let help = "Plans that did not pass the check and were not used";
        all.register("plans_unverified", help, self.plans_unverified.clone());
        all.register(
            "tasks",
            "Copies of tasks, by phase and reason",
            self.tasks.clone(),
        );
        all.register("creates", "Pods to create, by result", self.creates.clone());
        all.register("binds", "Pods to bind, by result", self.binds.clone());
        let help = "Pods to leave to kube-scheduler, by result";
        all.register("releases", help, self.releases.clone());
        let help = "Pods to take back from kube-scheduler, by result";
        all.register("take_backs", help, self.take_backs.clone());
        all.register("deletes", "Pods to delete, by result", self.deletes.clone());
        let help = "Time from the creation of a batch to the binding of a copy";
        all.register("queue_wait_seconds", help, self.queue_wait.clone());
        let help = "Copies that had not ended when they were due";
        all.register("deadline_misses", help, self.deadline_misses.clone());
        let help = "Copies that are expected to end after they are due";
        all.register("deadlines_at_risk", help, self.deadlines_at_risk.clone());
        let help = "Distance of actual from predicted run times, as a share of the predicted";
        all.register(
            "prediction_error_ratio",
            help,
            self.prediction_error.clone(),
        );
        let help = "Objects that cannot be read, by kind";
        all.register("unreadable_objects", help, self.unreadable.clone());
    }

    /// All metrics in the format OpenMetrics.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// A plan was made.
    pub fn planned(&self, goal: Goal, took: Duration, gap: Option<f64>) {
        let labels = [("goal", goal_name(goal))];
        self.plan_seconds
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
        if let Some(gap) = gap {
            self.plan_gap.get_or_create(&labels).set(gap);
        }
    }

    /// A plan did not pass the check.
    pub fn unverified(&self) {
        self.plans_unverified.inc();
    }

    /// An action was carried out, or not.
    pub fn acted(&self, action: &Action, outcome: &Outcome) {
        let family = match action {
            Action::Create(_) => &self.creates,
            Action::Bind(_) => &self.binds,
            Action::Release(_) => &self.releases,
            Action::TakeBack(_) => &self.take_backs,
            Action::Delete(_) => &self.deletes,
            Action::DeleteBatch(_) => return,
        };
        let result = match outcome {
            Outcome::Done => "done",
            Outcome::Refused { .. } => "refused",
            Outcome::Conflict => "conflict",
            Outcome::Unknown { .. } => "unknown",
        };
        family.get_or_create(&[("result", result)]).inc();
    }

    /// A run has ended: its predicted and its actual length, in ms.
    pub fn ended(&self, predicted: i64, actual: i64) {
        if predicted > 0 {
            let error = (actual as f64 - predicted as f64).abs() / predicted as f64;
            self.prediction_error.observe(error);
        }
    }

    /// A copy was bound this long after its batch was created.
    pub fn waited(&self, wait: Duration) {
        self.queue_wait.observe(wait.as_secs_f64());
    }

    /// How copies stand to their deadlines.
    pub fn deadlines(&self, deadlines: Deadlines) {
        self.deadline_misses.inc_by(deadlines.missed);
        let at_risk = i64::try_from(deadlines.at_risk).unwrap_or(i64::MAX);
        self.deadlines_at_risk.set(at_risk);
    }

    /// How many copies there are, by phase and reason.
    pub fn tasks(&self, counts: &BTreeMap<(TaskPhase, Option<Reason>), u64>) {
        let mut stale = lock(&self.tasks_shown);
        let mut shown = BTreeSet::new();
        for ((phase, reason), count) in counts {
            let reason = reason.map_or("", Reason::as_str);
            let labels = [("phase", phase_name(*phase)), ("reason", reason)];
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            self.tasks.get_or_create(&labels).set(count);
            shown.insert(labels);
        }
        for labels in stale.difference(&shown) {
            self.tasks.remove(labels);
        }
        *stale = shown;
    }

    /// A round of the loop is over.
    pub fn round(&self, good: bool) {
        let result = if good { "ok" } else { "error" };
        self.rounds.get_or_create(&[("result", result)]).inc();
    }

    /// How many objects of these kinds cannot be read.
    pub fn unreadable(&self, kinds: impl Iterator<Item = &'static str>) {
        self.unreadable.clear();
        for kind in kinds {
            self.unreadable.get_or_create(&[("kind", kind)]).inc();
        }
    }

    /// Whether this replica leads.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }
}

fn goal_name(goal: Goal) -> &'static str {
    match goal {
        Goal::Makespan => "Makespan",
        Goal::FlowTime => "FlowTime",
        Goal::Cost => "Cost",
        Goal::Shortfall => "Shortfall",
        Goal::Throughput => "Throughput",
    }
}

fn phase_name(phase: TaskPhase) -> &'static str {
    match phase {
        TaskPhase::Waiting => "Waiting",
        TaskPhase::Starting => "Starting",
        TaskPhase::Running => "Running",
        TaskPhase::Succeeded => "Succeeded",
        TaskPhase::Failed => "Failed",
        TaskPhase::Skipped => "Skipped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_name_and_its_labels() {
        let metrics = Metrics::default();
        metrics.planned(Goal::FlowTime, Duration::from_millis(1500), Some(0.0288));
        metrics.tasks(&BTreeMap::from([(
            (TaskPhase::Waiting, Some(Reason::ExceedsCapacity)),
            3,
        )]));
        metrics.round(true);
        metrics.ended(1000, 1500);
        metrics.leads(true);
        metrics.deadlines(Deadlines {
            at_risk: 2,
            missed: 3,
        });
        let text = metrics.text().expect("text");
        for line in [
            r#"taskbatch_plan_seconds_count{goal="FlowTime"} 1"#,
            r#"taskbatch_plan_gap_ratio{goal="FlowTime"} 0.0288"#,
            r#"taskbatch_tasks{phase="Waiting",reason="ExceedsCapacity"} 3"#,
            r#"taskbatch_rounds_total{result="ok"} 1"#,
            r#"taskbatch_prediction_error_ratio_bucket{le="0.5"} 1"#,
            "taskbatch_leader 1",
            "taskbatch_deadline_misses_total 3",
            "taskbatch_deadlines_at_risk 2",
            concat!(
                r#"taskbatch_build_info{version=""#,
                env!("CARGO_PKG_VERSION"),
                r#""} 1"#
            ),
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        metrics.tasks(&BTreeMap::new());
        assert!(!metrics.text().expect("text").contains("ExceedsCapacity"));
    }
}
