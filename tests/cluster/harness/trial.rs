//! Running the tests of this binary against one control plane.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anyhow::{Context, Result};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use super::{ControlPlane, Purpose, Sandbox};

/// A test by its path in this binary.
#[derive(Clone, Copy)]
pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) body: fn(Sandbox) -> LocalBoxFuture<'static, Result<()>>,
}

/// The list of the tests of a module, as `pub(crate) const TESTS: &[Test] = tests![a_pod_runs, a_pod_ends];`.
/// A test that stands in no list is dead code and the compiler says so.
#[macro_export]
macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        &[$($crate::harness::Test {
            name: concat!(module_path!(), "::", stringify!($test)),
            body: |sandbox| Box::pin($test(sandbox)),
        }),*]
    };
}

type Shared = Arc<OnceLock<Arc<ControlPlane>>>;

/// Runs the tests that the command line selects; the control plane is started only if there are any.
pub(crate) fn run(tests: &[Test]) -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    // Tests wait for the control plane most of the time.
    arguments.test_threads.get_or_insert(4);
    let runtime = Runtime::new()?;
    let cluster = Shared::default();
    let trials: Vec<Trial> = tests
        .iter()
        .map(|test| trial(*test, &cluster, runtime.handle()))
        .collect();

    let selected =
        |trial: &Trial| !arguments.is_filtered_out(trial) && !arguments.is_ignored(trial);
    if !arguments.list && trials.iter().any(selected) {
        runtime.spawn(stop_when_interrupted(cluster.clone()));
        let begin = Instant::now();
        let started = runtime
            .block_on(ControlPlane::start(Purpose::Tests))
            .context("the control plane does not start")?;
        // Said now, because the last words of a test run are those of the runner.
        let (took, logs) = (begin.elapsed(), started.folder().display());
        eprintln!("control plane ready after {took:.1?}, logs in {logs}");
        cluster.get_or_init(|| started);
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(cluster) = cluster.get() {
        cluster.stop(conclusion.has_failed());
    }
    Ok(conclusion.exit_code())
}

fn trial(test: Test, cluster: &Shared, runtime: &Handle) -> Trial {
    let (cluster, runtime) = (cluster.clone(), runtime.clone());
    // The first segment is the crate.
    let name = test
        .name
        .split_once("::")
        .map_or(test.name, |(_, path)| path);
    Trial::test(name, move || {
        let cluster = cluster
            .get()
            .ok_or("the control plane is not there")?
            .clone();
        runtime
            .block_on(in_sandbox(cluster, test))
            .map_err(|error| Failed::from(format!("{error:#}")))
    })
}

/// Runs one test in a sandbox of its own, which is cleared even when the test panics.
async fn in_sandbox(cluster: Arc<ControlPlane>, test: Test) -> Result<()> {
    let sandbox = Sandbox::new(cluster, &stem(test.name)).await?;
    let outcome = AssertUnwindSafe((test.body)(sandbox.clone()))
        .catch_unwind()
        .await;
    let cleared = sandbox
        .clear()
        .await
        .context("the sandbox cannot be cleared");
    match outcome {
        Ok(outcome) => outcome.and(cleared),
        Err(panic) => resume_unwind(panic),
    }
}

/// The start of a namespace that tells which test it belongs to; labels hold at most 63 characters.
fn stem(test: &str) -> String {
    let name = test.rsplit("::").next().unwrap_or(test).replace('_', "-");
    name.chars()
        .take(40)
        .collect::<String>()
        .trim_end_matches('-')
        .to_owned()
}

/// Returns when a person or the machine asks this program to end.
pub(crate) async fn interrupted() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

async fn stop_when_interrupted(cluster: Shared) {
    if interrupted().await.is_ok() {
        if let Some(cluster) = cluster.get() {
            cluster.stop(false);
        }
        // 128 + SIGINT, as shells report it.
        std::process::exit(130);
    }
}
