//! The whole way on a real node: the image, the chart, the operator as a pod, containers that compute, their results,
//! and nothing left at the end. `make e2e` runs it; the ordinary test run does where the machine allows it.
//!
//! This program runs twice. Outside, it prepares the ground and, at the end, looks at what is left. Inside, with
//! mounts, network and processes of its own, it is the machine of the node, runs the tests and is gone with all of it.

#[path = "../cluster/batch.rs"]
#[allow(dead_code, reason = "shared with the tests of the cluster")]
mod batch;
mod batch_tests;
mod cgroup;
mod end_tests;
mod gang_tests;
mod ground;
#[path = "../cluster/harness/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "shared with the tests of the cluster"
)]
mod harness;
mod image;
mod memory_tests;
mod names;
mod node;
mod operator_tests;
mod process;
mod rejection_tests;
mod rig;
mod traces;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

use ground::Ground;
use harness::Tools;
use node::Place;
use rig::Rig;

/// A test by its name. They share one node and run one after the other, in the order of the lists.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) body: fn(Arc<Rig>) -> LocalBoxFuture<'static, Result<()>>,
}

/// The list of the tests of a module.
macro_rules! steps {
    ($($step:ident),* $(,)?) => {
        &[$($crate::Step {
            name: concat!(module_path!(), "::", stringify!($step)),
            body: |rig| Box::pin($step(rig)),
        }),*]
    };
}
pub(crate) use steps;

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let steps = [
        operator_tests::STEPS,
        batch_tests::STEPS,
        gang_tests::STEPS,
        memory_tests::STEPS,
        rejection_tests::STEPS,
        // The last ones take away what the others need.
        end_tests::STEPS,
    ]
    .concat();
    match Place::of_this_run() {
        Some(place) => inside(&arguments, &steps, place),
        None => outside(&arguments, &steps),
    }
}

type Shared = Arc<OnceLock<Arc<Rig>>>;

fn trials(steps: &[Step], rig: &Shared, runtime: &Arc<Runtime>) -> Vec<Trial> {
    let trial = |step: &Step| {
        let (rig, runtime, body) = (rig.clone(), runtime.clone(), step.body);
        let name = step
            .name
            .split_once("::")
            .map_or(step.name, |(_, rest)| rest);
        Trial::test(name, move || {
            let rig = rig.get().ok_or("the node is not there")?.clone();
            runtime
                .block_on(body(rig))
                .map_err(|error| Failed::from(format!("{error:#}")))
        })
    };
    steps.iter().map(trial).collect()
}

fn outside(arguments: &Arguments, steps: &[Step]) -> Result<ExitCode> {
    let runtime = Arc::new(Runtime::new()?);
    let trials = trials(steps, &Shared::default(), &runtime);
    let selected =
        |trial: &Trial| !arguments.is_filtered_out(trial) && !arguments.is_ignored(trial);
    if arguments.list || !trials.iter().any(selected) {
        return Ok(libtest_mimic::run(arguments, trials).exit_code());
    }
    // There is no network inside to build anything with.
    Tools::ready()?;
    let ground = match Ground::prepare() {
        Ok(ground) => ground,
        Err(lack) if std::env::var_os("TASKBATCH_E2E").is_some_and(|it| it == "required") => {
            return Err(lack);
        }
        Err(lack) => {
            eprintln!("e2e: SKIPPED, all of it. This machine can not have a node: {lack:#}");
            let ignored = trials
                .into_iter()
                .map(|trial| trial.with_ignored_flag(true));
            return Ok(libtest_mimic::run(arguments, ignored.collect()).exit_code());
        }
    };
    let ended = runtime.block_on(ground.run())?;
    let good = ended.is_some_and(|status| status.success());
    ground.clear(!good && ended.is_some())?;
    match ended {
        // 128 + SIGINT, as shells report it.
        None => Ok(130.into()),
        Some(_) if good => Ok(ExitCode::SUCCESS),
        Some(status) => Ok(u8::try_from(status.code().unwrap_or(1))?.into()),
    }
}

fn inside(arguments: &Arguments, steps: &[Step], place: Place) -> Result<ExitCode> {
    let begin = Instant::now();
    let runtime = Arc::new(Runtime::new()?);
    let rig = Shared::default();
    let logs = place.folder.clone();
    let started = runtime
        .block_on(Rig::start(place))
        .with_context(|| format!("the node does not start, logs in {}", logs.display()))?;
    let (took, logs) = (begin.elapsed(), logs.display());
    // Said now, because the last words of a test run are those of the runner.
    eprintln!("e2e: control plane, node and operator ready after {took:.1?}, logs in {logs}");
    if rig.set(Arc::new(started)).is_err() {
        bail!("two nodes");
    }
    let conclusion = libtest_mimic::run(arguments, trials(steps, &rig, &runtime));
    Ok(conclusion.exit_code())
}
