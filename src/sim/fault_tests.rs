//! The operator under faults: thousands of small clusters by seed, each run to its end.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde_json::{Value, json};

use super::chance;
use super::cluster::{Cluster, Options};
use super::edit::Edit;
use super::faults::Faults;
use super::fixture::{batch, cluster, create, node, object, pod, shown, stranger};
use super::history::{Happening, Observer};
use super::invariants::Invariants;
use super::run::{End, Ran, run};
use crate::api::{TaskBatch, annotation, label};
use crate::decide::{Action, Fact, Memory};
use crate::model::{Millis, Share};

const MINUTE: Millis = 60_000;
/// Long enough for every backoff and every loss.
const WEEK: Millis = 7 * 24 * 60 * MINUTE;

/// Draws small worlds.
pub(super) struct Dice(pub(super) ChaCha8Rng);

impl Dice {
    fn number(&mut self, from: u32, to: u32) -> u32 {
        self.0.random_range(from..=to)
    }

    fn happens(&mut self, probability: f64) -> bool {
        self.0.random::<f64>() < probability
    }

    /// A probability that is often 0.
    fn fault(&mut self, most: f64) -> f64 {
        if self.happens(0.5) {
            0.0
        } else {
            most * self.0.random::<f64>()
        }
    }

    fn faults(&mut self) -> Faults {
        Faults {
            noise: self.fault(0.5),
            run_fails: self.fault(0.3),
            out_of_memory: self.fault(0.2),
            node_rejects: self.fault(0.3),
            unschedulable: self.fault(0.5),
            node_lost: self.fault(0.5),
            reply_lost: self.fault(0.3),
            request_lost: self.fault(0.3),
            late: self.fault(0.2),
            stolen: self.fault(0.3),
            refused: self.fault(0.2),
            stale: self.fault(0.4),
            unreachable: self.fault(0.2),
            crash_before: None,
            crash_after: None,
            crash: self.fault(0.2),
        }
    }

    /// Tasks that fit what batches may use of the first node, were it empty.
    fn batch(&mut self, name: &str) -> Value {
        let mut tasks: Vec<Value> = Vec::new();
        for index in 0..self.number(1, 3) {
            let mut task = self.task(index);
            if self.happens(0.3) {
                task["gang"] = json!({"workers": {"min": 2, "max": self.number(2, 3)}});
            }
            if index > 0 && self.happens(0.3) {
                task["dependsOn"] = json!([format!("t{}", index - 1)]);
            }
            tasks.push(task);
        }
        let binding = if self.happens(0.4) {
            "Delegate"
        } else {
            "Auto"
        };
        json!({
            "apiVersion": "taskbatch.dev/v1alpha1", "kind": "TaskBatch",
            "metadata": {"name": name},
            "spec": {"tasks": tasks, "binding": binding, "optimizer": {"iterations": 1}},
        })
    }

    fn task(&mut self, index: u32) -> Value {
        let resources = match self.number(0, 2) {
            0 => json!({"cpu": {"min": "1", "max": self.number(1, 4).to_string()}}),
            1 => json!({"cpu": {"min": "500m"}}),
            _ => json!({"nvidia.com/gpu": {"min": "1", "max": self.number(1, 2).to_string()}}),
        };
        json!({
            "name": format!("t{index}"), "count": self.number(1, 3), "resources": resources,
            "estimate": {"process": format!("{}m", self.number(1, 30))},
            "retry": {"limit": self.number(0, 3)},
            "template": {"spec": {"containers": [{"name": "main", "image": "busybox"}]}},
        })
    }

    fn moment(&mut self) -> Millis {
        Millis::from(self.number(0, 60)) * MINUTE
    }

    pub(super) fn world(&mut self, seed: u64, faults: Faults) -> Cluster {
        let is_shared = self.happens(0.2);
        let half = Share::parse("0.5").unwrap_or_default();
        let mut cluster = Cluster::new(Options {
            share: if is_shared { half } else { Share::WHOLE },
            seed,
            scheduling: Millis::from(self.number(0, 2000)),
            startup: Millis::from(self.number(0, 3000)),
            stop: Millis::from(self.number(0, 3000)),
            whole_seconds: self.happens(0.5),
            faults,
            ..Options::default()
        });
        let times = if is_shared { 2 } else { 1 };
        cluster.set_node(node("n0", 4 * times, 2 * times));
        for index in 1..=self.number(0, 3) {
            cluster.set_node(node(
                &format!("n{index}"),
                self.number(1, 8),
                self.number(0, 4),
            ));
        }
        for name in ["a", "b"].into_iter().take(self.number(1, 2) as usize) {
            let at = if self.happens(0.7) { 0 } else { self.moment() };
            cluster.schedule(at, Edit::Apply(Box::new(object(self.batch(name)))));
        }
        self.disturb(&mut cluster);
        cluster
    }

    /// What people and other schedulers do meanwhile.
    fn disturb(&mut self, cluster: &mut Cluster) {
        let (namespace, name) = ("default".to_owned(), "a".to_owned());
        if self.happens(0.2) {
            let (from, length) = (self.moment(), self.moment());
            for (at, suspend) in [(from, true), (from + length, false)] {
                let edit = Edit::Suspend {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    suspend,
                };
                cluster.schedule(at, edit);
            }
        }
        if self.happens(0.1) {
            cluster.schedule(self.moment(), Edit::DeleteBatch { namespace, name });
        }
        if self.happens(0.2) {
            cluster.schedule(self.moment(), Edit::RemoveNode("n1".into()));
        }
        for index in 0..self.number(0, 3) {
            let pod = stranger(&format!("s{index}"), self.number(1, 3), "n0");
            let length = Millis::from(self.number(1, 60)) * MINUTE;
            cluster.schedule(self.moment(), Edit::AddPod(Box::new(pod), Some(length)));
        }
    }
}

/// Prints what happens, where `SIM_TRACE` is in the environment.
struct Trace(bool);

impl Observer for Trace {
    fn happened(&mut self, at: Millis, happening: &Happening) {
        if self.0
            && !matches!(
                happening,
                Happening::Observed {
                    pods: true,
                    nodes: true
                }
            )
        {
            println!("{at:>9} {}", shown(happening));
        }
    }

    fn noted(&mut self, at: Millis, fact: &Fact<'_>) {
        match fact {
            Fact::Acted { action, outcome } if self.0 => {
                println!("{at:>9}   {} -> {outcome:?}", brief(action))
            }
            _ => {}
        }
    }
}

fn brief(action: &Action) -> String {
    match action {
        Action::Create(create) => format!("create {}", create.name),
        other => format!("{other:?}"),
    }
}

/// What is wrong after a run.
pub(super) fn wrong(seed: u64, cluster: &mut Cluster) -> (Ran, Vec<String>) {
    let mut invariants = Invariants::with_share(cluster.options.share);
    let mut trace = Trace(std::env::var_os("SIM_TRACE").is_some());
    let ran = run(
        cluster,
        &mut Memory::default(),
        WEEK,
        &mut (&mut invariants, &mut trace),
    );
    let mut wrong = invariants.violations().to_vec();
    if ran.end != End::Settled {
        wrong.push(format!(
            "ends {:?} at {} ms after {} rounds",
            ran.end, ran.at, ran.rounds
        ));
    }
    wrong.extend(
        Invariants::unended(cluster)
            .into_iter()
            .map(|batch| format!("not ended: {batch}")),
    );
    if ran.end == End::Settled {
        wrong.extend(restless(cluster));
    }
    (
        ran,
        wrong
            .into_iter()
            .map(|what| format!("seed {seed}: {what}"))
            .collect(),
    )
}

/// What is wrong once everything has settled and nothing goes wrong any more: a new operator must have nothing to
/// say, and deleted batches must leave nothing.
fn restless(cluster: &mut Cluster) -> Vec<String> {
    let mut found = Vec::new();
    cluster.options.faults = Faults::default();
    cluster.restart();
    let (version, until) = (cluster.version(), cluster.now() + WEEK);
    let ran = run(cluster, &mut Memory::default(), until, &mut ());
    if ran.end != End::Settled || cluster.version() != version {
        found.push(format!(
            "a new operator writes although all has settled: {:?}",
            ran.end
        ));
    }
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    let batches = cluster.batches().map(|batch| &batch.metadata);
    let batches: Vec<_> = batches
        .map(|meta| (name(&meta.namespace), name(&meta.name)))
        .collect();
    for (namespace, name) in batches {
        cluster.edit(Edit::DeleteBatch { namespace, name });
    }
    let until = cluster.now() + WEEK;
    run(cluster, &mut Memory::default(), until, &mut ());
    let left = cluster.pods().filter(|pod| pod.own.is_some());
    found.extend(left.map(|pod| format!("left behind: {}", pod.key())));
    found
}

/// How many seeds the largest test tries.
const SEEDS: u64 = 100_000;

/// The seeds of a test. `SIM_SEEDS` in the environment asks for another number in the largest one, and as many
/// times more or less in each; `SIM_SEED` for one alone.
fn seeds(usual: u64) -> Vec<u64> {
    let asked = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let count = asked("SIM_SEEDS").map_or(usual, |all: u64| (usual * all).div_ceil(SEEDS));
    match asked("SIM_SEED") {
        Some(one) => vec![one],
        None => (0..count).collect(),
    }
}

fn assert_all_well(test: &str, found: Vec<String>) {
    let shown: Vec<&String> = found.iter().take(20).collect();
    assert!(
        found.is_empty(),
        "{} violations, the first are {shown:#?}\nagain, step by step: SIM_TRACE=1 SIM_SEED=<seed> cargo test --lib -- --nocapture {test}",
        found.len()
    );
}

#[test]
fn whatever_goes_wrong_every_batch_ends_and_no_rule_is_broken() {
    let found = seeds(SEEDS).into_par_iter().flat_map_iter(|seed| {
        let mut dice = Dice(chance::generator(seed, "world", ""));
        let faults = dice.faults();
        wrong(seed, &mut dice.world(seed, faults)).1
    });
    assert_all_well("whatever_goes_wrong", found.collect());
}

/// A batch of one gang of two.
fn gang() -> TaskBatch {
    let mut gang = batch("b");
    gang.spec.tasks[0].gang = Some(object(json!({"workers": {"min": 2}})));
    gang
}

#[test]
fn a_worker_that_comes_late_is_seen_before_the_next_attempt_though_the_watch_is_late_too() {
    let mut cluster = cluster(Faults {
        node_rejects: 1.0,
        ..Faults::default()
    });
    cluster.apply(gang());
    let (mut memory, mut invariants) = (Memory::default(), Invariants::default());
    run(&mut cluster, &mut memory, 1000, &mut invariants);
    let left: Vec<&str> = cluster.pods().map(|pod| pod.name.as_str()).collect();
    assert_eq!(left, ["b-t-0-0-0", "b-t-0-0-1"], "both are rejected");

    let mut late = create(&cluster, "b-t-0-0-1", json!({"cpu": "1"}), MINUTE);
    late.manifest["metadata"]["labels"][label::WORKER] = json!("1");
    late.manifest["metadata"]["annotations"][annotation::WORKERS] = json!("2");
    cluster.delete_pod(&("default".into(), late.name.clone()), false);
    run(&mut cluster, &mut memory, 1500, &mut invariants);
    cluster.options.faults = Faults {
        stale: 1.0,
        ..Faults::default()
    };
    cluster.carry_out_unseen(&Action::Create(late));
    run(&mut cluster, &mut memory, MINUTE, &mut invariants);
    assert_eq!(invariants.violations(), [""; 0]);
    assert!(
        pod(&cluster, "b-t-0-1-1").is_some(),
        "there is a next attempt"
    );
}

#[test]
fn what_is_bound_of_a_gang_is_given_back_at_once_where_the_server_refuses_the_rest() {
    for seed in 0..1000 {
        let mut cluster = cluster(Faults {
            request_lost: 0.5,
            refused: 0.5,
            ..Faults::default()
        });
        cluster.options.seed = seed;
        cluster.apply(gang());
        let mut invariants = Invariants::default();
        run(
            &mut cluster,
            &mut Memory::default(),
            60 * MINUTE,
            &mut invariants,
        );
        assert_eq!(invariants.violations(), [""; 0], "seed {seed}");
    }
}

#[test]
fn without_faults_every_batch_ends() {
    let found = seeds(1000).into_par_iter().flat_map_iter(|seed| {
        let mut dice = Dice(chance::generator(seed, "calm world", ""));
        wrong(seed, &mut dice.world(seed, Faults::default())).1
    });
    assert_all_well("without_faults", found.collect());
}

#[test]
fn a_kill_before_or_after_any_write_changes_nothing_that_matters() {
    let before = |write| Faults {
        crash_before: Some(write),
        ..Faults::default()
    };
    let after = |write| Faults {
        crash_after: Some(write),
        ..Faults::default()
    };
    let sides = [("before", before as fn(u64) -> Faults), ("after", after)];
    let found = seeds(100).into_par_iter().flat_map_iter(|seed| {
        let mut found = Vec::new();
        for (side, faults) in sides {
            for write in 1.. {
                let mut dice = Dice(chance::generator(seed, "killed world", ""));
                let (ran, wrong) = wrong(seed, &mut dice.world(seed, faults(write)));
                let told = wrong.into_iter();
                found.extend(told.map(|what| format!("killed {side} write {write}, {what}")));
                if ran.crashes == 0 {
                    break;
                }
            }
        }
        found
    });
    assert_all_well("a_kill_before_or_after", found.collect());
}
