//! `taskbatch plan`: plans batches without a cluster.

mod convergence;
mod critical;
mod deadlines;
mod document;
mod earlier;
mod layered;
mod progress;
pub mod settings;
mod table;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{ArgGroup, Args, ValueEnum};
use jiff::Timestamp;

use super::manifest::{self, Input, Paths};
use super::number::share;
use super::{Error, Exit, chart, gantt, print, svg};
use crate::cluster::snapshot;
use crate::model::{Algorithm, Goal, Problem, Share, Solution};
use crate::solver::{self, Budget, Improvement};
use convergence::Convergence;
use document::{Delegated, Document};
use layered::Groups;
use settings::{Limit, Settings};
use table::Table;

/// What to plan, for which nodes, and how.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("limit"))]
pub struct PlanArgs {
    /// Files with TaskBatches, in YAML or JSON; - is standard input
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true, num_args = 1..)]
    files: Vec<String>,
    /// Files with Nodes, such as kubectl get nodes -o yaml prints
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    nodes: Vec<String>,
    /// Files with Pods that use these nodes, such as kubectl get pods -A -o yaml prints
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pods: Vec<String>,
    /// File with the levels of the network between the nodes, outermost first; see docs/workloads.md
    #[arg(long, value_name = "FILE")]
    topology: Option<String>,
    /// What the plan is to be good at: Makespan, FlowTime, Cost, Shortfall or Throughput; default: the batch's
    #[arg(long, value_name = "GOAL")]
    goal: Option<Goal>,
    /// Which search: Auto, Greedy, Genetic, Annealing, ParticleSwarm, RuinRecreate or Exact; default: the batch's
    #[arg(long, value_name = "ALGORITHM")]
    algorithm: Option<Algorithm>,
    /// How long to search, such as 500ms or 1m; default: the batch's
    #[arg(long, value_name = "DURATION", value_parser = settings::duration, group = "limit")]
    time_limit: Option<Duration>,
    /// How many plans to try, in the place of a time limit: the same number gives the same plan again
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), group = "limit")]
    iterations: Option<u64>,
    /// Seed of the search; default: the batch's
    #[arg(long, value_name = "SEED", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// Threads of the search; default: one for each core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// The share of each node that the pods of all batches may request together, as the operator is told it
    #[arg(long, value_name = "SHARE", default_value_t, value_parser = share)]
    max_share: Share,
    /// The moment of the plan, RFC 3339, for pods of batches that end; default: now
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
    /// An earlier plan, as -o json printed it, to start from: what is still good of it stays
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Show on standard error how the search goes on, and in the table how long reading and computing take
    #[arg(short, long)]
    verbose: bool,
}

/// How to print a plan.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Table,
    /// With the parts of each length
    Wide,
    /// For programs
    Json,
    /// The same as YAML
    Yaml,
    /// A picture for terminals: nodes and time
    Gantt,
    /// The same picture as SVG
    Svg,
}

/// Reads, compiles, searches, checks, prints.
pub fn plan(args: &PlanArgs) -> Result<Exit, Error> {
    let input = manifest::read(&Paths {
        batches: &args.files,
        nodes: &args.nodes,
        pods: &args.pods,
        topology: args.topology.as_deref(),
    })?;
    let settings = Settings::of(args, &input.batches)?;
    for note in &settings.notes {
        eprintln!("note: {note}");
    }
    let now = args.now.unwrap_or_else(Timestamp::now);
    let mut snapshot = snapshot::take(&input.nodes, &input.pods, now, args.max_share);
    snapshot.topology = input.topology.clone();
    let groups = Groups::of(&input);
    let (problem, solution, elapsed) = layered::plan(&groups, snapshot, &settings, |problem| {
        search(problem, &settings, args.verbose)
    })?;
    for warning in deadlines::warnings(&problem, &solution) {
        eprintln!("warning: {warning}");
    }
    let format = match args.output {
        Format::Table if args.verbose => Format::Wide,
        other => other,
    };
    print(|out| show(out, format, &input, &problem, &solution, elapsed))?;
    let all_placed = solution.plan.unplaced.is_empty();
    Ok(if all_placed {
        Exit::Done
    } else {
        Exit::Unplaced
    })
}

/// The tasks whose pods kube-scheduler binds.
fn delegated(input: &Input) -> Delegated<'_> {
    let batches = input.batches.iter().map(|manifest| &manifest.batch);
    let tasks = batches.flat_map(|batch| batch.tasks.iter().map(move |task| (batch, task)));
    tasks
        .filter(|(_, task)| task.delegated)
        .map(|(batch, task)| (batch.key.as_str(), task.name.as_str()))
        .collect()
}

/// Searches on as many threads as were asked for. On standard error there is a line for each improvement where that
/// was asked for, else a line of progress where somebody looks on.
fn search(
    problem: &Problem,
    settings: &Settings,
    verbose: bool,
) -> Result<(Solution, Duration), Error> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(settings.threads)
        .build()
        .map_err(|error| Error::Machine(format!("cannot start threads: {error}")))?;
    let started = Instant::now();
    let (iterations, time) = match settings.limit {
        Limit::Iterations(most) => (Some(most), None),
        Limit::Time(most) => (None, Some(most)),
    };
    let spent = || match time {
        Some(most) => started.elapsed().as_secs_f64() / most.as_secs_f64().max(f64::MIN_POSITIVE),
        None => 0.0,
    };
    let options = solver::Options {
        algorithm: settings.algorithm,
        seed: settings.seed,
        budget: Budget {
            iterations,
            spent: &spent,
        },
    };
    let run = |listener: &mut (dyn FnMut(&Improvement) + Send)| {
        let mut listener = |found: &Improvement| listener(found);
        let earlier = settings.earlier.as_ref();
        pool.install(|| solver::solve(problem, &options, earlier, &mut listener))
    };
    let solution = if verbose {
        let mut convergence = Convergence::new(problem.goal, started);
        let solution = run(&mut |found| convergence.improved(found));
        convergence.end();
        solution
    } else {
        progress::shown(problem.goal, settings.limit, |seen| {
            run(&mut |found| seen.improved(found))
        })
    };
    Ok((solution, started.elapsed()))
}

fn show(
    out: &mut dyn Write,
    format: Format,
    input: &Input,
    problem: &Problem,
    solution: &Solution,
    elapsed: Duration,
) -> io::Result<()> {
    let table = |is_wide| Table {
        input,
        problem,
        solution,
        elapsed,
        is_wide,
    };
    let delegated = delegated(input);
    let document = || Document::new(problem, solution, elapsed, &delegated);
    match format {
        Format::Table => table(false).write(out),
        Format::Wide => table(true).write(out),
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &document())?;
            writeln!(out)
        }
        Format::Yaml => {
            let text = serde_saphyr::to_string(&document()).map_err(io::Error::other)?;
            out.write_all(text.as_bytes())
        }
        Format::Gantt => {
            let chart = chart::Chart::of_plan(problem, solution);
            out.write_all(gantt::render(&chart, gantt::Screen::stdout()).as_bytes())
        }
        Format::Svg => out.write_all(svg::svg(problem, solution).as_bytes()),
    }
}
