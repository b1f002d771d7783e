//! `make bench-cluster`: the operator against the real kube-scheduler and against the API server itself, in one run,
//! on the real control plane. How it is measured, and what came of it: `docs/performance.md`.

mod bound;
mod figures;
mod fill;
mod large;
mod load;
mod meter;
mod options;
mod reaction;
mod rig;
mod throughput;

use std::fs;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;

use crate::harness::{Sandbox, Test, interrupted};
use crate::tests;
use figures::Figures;
use fill::Strangers;
use load::Load;
use options::{Format, Options, Part};
use rig::Rig;

pub(crate) const TESTS: &[Test] = tests![the_smallest_benchmark_measures_every_side];

/// Measures what the command line asks for, and prints it.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> Result<ExitCode> {
    let options = Options::parse_from(arguments);
    let runtime = tokio::runtime::Runtime::new()?;
    let figures = runtime.block_on(async {
        tokio::select! {
            figures = measure(&options) => figures.map(Some),
            stopped = interrupted() => stopped.map(|()| None),
        }
    })?;
    let Some(figures) = figures else {
        return Ok(ExitCode::FAILURE);
    };
    let json = serde_json::to_string_pretty(&figures)?;
    if let Some(file) = &options.file {
        fs::write(file, &json)?;
    }
    match options.output {
        Format::Table => print!("{}", figures.table()),
        Format::Json => println!("{json}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts a control plane, measures, and ends it.
async fn measure(options: &Options) -> Result<Figures> {
    let mut rig = Rig::start(options.connections).await?;
    let figures = all_parts(&mut rig, options).await;
    rig.cluster.stop(figures.is_err());
    figures
}

async fn all_parts(rig: &mut Rig, options: &Options) -> Result<Figures> {
    let mut figures = Figures {
        processors: std::thread::available_parallelism()?.get(),
        load_before: load_of_the_machine()?,
        options: Some(options.clone()),
        ..Figures::default()
    };
    let Options {
        nodes,
        pods,
        repetitions,
        ..
    } = *options;
    if [Part::Throughput, Part::Reaction, Part::Gpu]
        .iter()
        .any(|part| options.has(*part))
    {
        eprintln!("{nodes} nodes ...");
        rig.grow(nodes).await?;
    }
    if options.has(Part::Throughput) {
        eprintln!("throughput:");
        let load = Load { gpus: 0 };
        figures.throughput = throughput::measure(rig, load, pods, repetitions).await?;
        eprintln!("idle ...");
        let operator = rig.operator().await?;
        figures.idle = Some(large::idle(rig, &operator, options.idle()).await?);
        rig::stop(operator).await?;
    }
    if options.has(Part::Reaction) {
        eprintln!("reaction ...");
        let reactions = reaction::measure(rig, options.tasks, options.reactions).await?;
        figures.reaction = reactions.into();
    }
    if options.has(Part::Gpu) {
        eprintln!("throughput with GPUs:");
        rig.add_gpus(8).await?;
        let load = Load { gpus: 1 };
        figures.gpu = throughput::measure(rig, load, pods, repetitions).await?;
    }
    if options.has(Part::Restart) || options.has(Part::Memory) {
        large_cluster(rig, options, &mut figures).await?;
    }
    figures.load_after = load_of_the_machine()?;
    Ok(figures)
}

async fn large_cluster(rig: &mut Rig, options: &Options, figures: &mut Figures) -> Result<()> {
    let Options {
        big_nodes,
        big_pods,
        most_pods,
        restarts,
        ..
    } = *options;
    rig.grow(big_nodes).await?;
    let mut strangers = Strangers::none(rig).await?;
    if options.has(Part::Restart) {
        eprintln!("restart with {big_nodes} nodes and {big_pods} pods ...");
        strangers.grow(rig, big_pods).await?;
        for _ in 0..restarts {
            let (start, ()) = large::start(rig, async |_| Ok(())).await?;
            figures.restart.push(start);
        }
    }
    if options.has(Part::Memory) {
        eprintln!("memory with {big_nodes} nodes and {most_pods} pods ...");
        strangers.grow(rig, most_pods).await?;
        let idle = async |operator: &_| large::idle(rig, operator, options.idle()).await;
        let (start, idle) = large::start(rig, idle).await?;
        (figures.memory, figures.idle_large) = (Some(start), Some(idle));
    }
    Ok(())
}

/// The load of the last minute.
fn load_of_the_machine() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

/// On a control plane of its own: it must not disturb the others, nor they it. Nothing is asked of the times.
async fn the_smallest_benchmark_measures_every_side(_: Sandbox) -> Result<()> {
    let sizes = "bench-cluster --nodes 4 --pods 6 --repetitions 1 --tasks 3 --reactions 1 --big-nodes 5 \
                 --big-pods 20 --most-pods 30 --restarts 1 --idle 1";
    let options = Options::try_parse_from(sizes.split_ascii_whitespace())?;
    let figures = measure(&options).await?;
    let lines = figures.table().lines().count();
    let Figures {
        throughput,
        gpu,
        reaction,
        restart,
        memory,
        idle,
        idle_large,
        ..
    } = &figures;
    for samples in [throughput, gpu] {
        ensure!(samples.len() == throughput::SIDES.len(), "{samples:?}");
        ensure!(
            samples.iter().all(|sample| sample.seconds > 0.0),
            "{samples:?}"
        );
    }
    ensure!(
        reaction.iter().all(|times| times.seconds.len() == 1),
        "{reaction:?}"
    );
    ensure!(restart.len() == 1 && memory.is_some(), "{restart:?}");
    ensure!(idle.is_some() && idle_large.is_some(), "{idle:?}");
    ensure!(lines > 20, "{}", figures.table());
    Ok(())
}
