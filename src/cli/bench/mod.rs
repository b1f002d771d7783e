//! `taskbatch bench`: measures the searches on generated instances, and on files of others.

mod draw;
mod families;
mod hidden;
mod measure;
mod memory;
pub mod project;
mod replan;
mod row;
mod throughput;
mod world;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{ArgGroup, Args, ValueEnum};
use serde::Serialize;

use super::{Error, Exit, plan, print};
use crate::model::{Algorithm, Earlier, Goal, PlannedBatch, Problem};
use families::{Family, Sizes};
use measure::Search;
use plan::settings::{self, Limit};
use row::Row;
use throughput::Curves;
use world::World;

/// What to measure, and how. Without options: each family once or twice, within a minute.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("budget"))]
pub struct BenchArgs {
    /// Family of instances; may be repeated; default: all of them, and none where there are files
    #[arg(long = "family", value_name = "FAMILY", value_enum)]
    families: Vec<Family>,
    /// Files of multi-mode project scheduling, in the format .mm of PSPLIB
    #[arg(long = "file", value_name = "FILE", num_args = 1..)]
    files: Vec<PathBuf>,
    /// How many tasks; default: as is usual for the family
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    tasks: Option<u32>,
    /// How many nodes; default: as is usual for the family
    #[arg(short = 'm', long, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    nodes: Option<u32>,
    /// How many batches share the tasks of a family, in order; under Makespan the ends of all batches count
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    batches: u32,
    /// Seeds of instances and searches, as 1..5 with both ends, or 1,4,7
    #[arg(long, value_name = "SEEDS", default_value = "1", value_parser = seeds)]
    seeds: Seeds,
    /// What the plans are to be good at: Makespan, FlowTime, Cost, Shortfall or Throughput; default: as is usual for
    /// the family
    #[arg(long, value_name = "GOAL")]
    goal: Option<Goal>,
    /// Which search: Auto, Greedy, Genetic, Annealing, ParticleSwarm, RuinRecreate or Exact; may be repeated
    #[arg(long = "algorithm", value_name = "ALGORITHM", default_value = "Auto")]
    algorithms: Vec<Algorithm>,
    /// How long each search may take, such as 500ms or 1m; default: 1s, for big 2s
    #[arg(long, value_name = "DURATION", value_parser = settings::duration, group = "budget")]
    time_limit: Option<Duration>,
    /// How many plans each search may try, in the place of a time limit
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), group = "budget")]
    iterations: Option<u64>,
    /// Threads of the searches; default: one for each core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Folder with measured speed-ups, files *-placements.csv, for the family throughput; default: a law
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// How to print what was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, a line as soon as it is known
    #[default]
    Table,
    /// For programs
    Json,
}

/// Seeds, in the order in which they are used.
#[derive(Clone, Debug)]
struct Seeds(Vec<u64>);

/// Reads `1..5`, `1,4,7` or `3`.
fn seeds(text: &str) -> Result<Seeds, String> {
    let fault = || "must be seeds such as 3, 1,4,7 or 1..5, at most 10000 of them".to_owned();
    let number = |text: &str| {
        text.trim()
            .parse::<u32>()
            .map(u64::from)
            .map_err(|_| fault())
    };
    let seeds: Vec<u64> = match text.split_once("..") {
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            (first..=last).take(10_001).collect()
        }
        None => text.split(',').map(number).collect::<Result<_, _>>()?,
    };
    let is_right = (1..=10_000).contains(&seeds.len());
    is_right.then_some(Seeds(seeds)).ok_or_else(fault)
}

/// What is solved.
enum Case<'a> {
    Family(Family, Sizes),
    File(&'a Path),
}

impl fmt::Display for Case<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Case::Family(family, sizes) => {
                write!(out, "{family} {}x{}", sizes.tasks, sizes.nodes)
            }
            Case::File(path) => {
                let stem = path.file_stem().unwrap_or(path.as_os_str());
                write!(out, "{}", stem.to_string_lossy())
            }
        }
    }
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Document<'a> {
    version: &'static str,
    threads: usize,
    rows: &'a [Row],
}

/// Generates or reads, solves, checks, prints.
pub fn bench(args: &BenchArgs) -> Result<Exit, Error> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(args.threads.map_or(0, usize::from))
        .build()
        .map_err(|error| Error::Machine(format!("cannot start threads: {error}")))?;
    let mut bench = Bench {
        args,
        pool: &pool,
        curves: match &args.data {
            Some(folder) => Curves::read(folder).map_err(Error::Machine)?,
            None => Curves::default(),
        },
        rows: Vec::new(),
    };
    if args.output == Format::Table {
        print(row::write_head)?;
    }
    bench.run()?;
    let document = Document {
        version: env!("CARGO_PKG_VERSION"),
        threads: pool.current_num_threads(),
        rows: &bench.rows,
    };
    print(|out| match args.output {
        Format::Table => row::write_notes(out, document.rows),
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &document)?;
            writeln!(out)
        }
    })?;
    Ok(Exit::Done)
}

struct Bench<'a> {
    args: &'a BenchArgs,
    pool: &'a rayon::ThreadPool,
    curves: Curves,
    rows: Vec<Row>,
}

impl Bench<'_> {
    fn run(&mut self) -> Result<(), Error> {
        let args = self.args;
        for family in self.families() {
            let goals = args
                .goal
                .as_ref()
                .map_or(family.goals(), std::slice::from_ref);
            for (&goal, &seed) in goals
                .iter()
                .flat_map(|goal| args.seeds.0.iter().map(move |seed| (goal, seed)))
            {
                let usual = family.sizes_of(seed);
                let sizes = Sizes {
                    tasks: args.tasks.map_or(usual.tasks, |tasks| tasks as usize),
                    nodes: args.nodes.map_or(usual.nodes, |nodes| nodes as usize),
                };
                self.solve_family(family, sizes, goal, seed)?;
            }
        }
        for path in &args.files {
            let fault = |message: String| Error::Machine(format!("{}: {message}", path.display()));
            let text = fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
            let started = Instant::now();
            let mut problem = project::read(&text).map_err(fault)?;
            problem.goal = args.goal.unwrap_or_default();
            let compile = started.elapsed();
            for &seed in &args.seeds.0 {
                for search in self.searches(seed, None) {
                    self.solve(&Case::File(path), &problem, search, compile)?;
                }
            }
        }
        Ok(())
    }

    fn families(&self) -> Vec<Family> {
        match &self.args.families[..] {
            [] if self.args.files.is_empty() => Family::value_variants().to_vec(),
            families => families.to_vec(),
        }
    }

    fn searches(&self, seed: u64, family: Option<Family>) -> Vec<Search> {
        let is_large = matches!(family, Some(Family::Big | Family::Replan));
        let usual = Duration::from_secs(if is_large { 2 } else { 1 });
        let limit = match self.args.iterations {
            Some(most) => Limit::Iterations(most),
            None => Limit::Time(self.args.time_limit.unwrap_or(usual)),
        };
        let search = |&algorithm: &Algorithm| Search {
            algorithm,
            limit,
            seed,
        };
        self.args.algorithms.iter().map(search).collect()
    }

    fn solve_family(
        &mut self,
        family: Family,
        sizes: Sizes,
        goal: Goal,
        seed: u64,
    ) -> Result<(), Error> {
        let world = family.generate(sizes, goal, seed, &self.curves);
        let (problem, compile) = self.compile(&world);
        let case = Case::Family(family, sizes);
        for search in self.searches(seed, Some(family)) {
            if family == Family::Replan {
                self.replan(&case, &world, &problem, search)?;
            } else {
                self.solve(&case, &problem, search, compile)?;
            }
        }
        Ok(())
    }

    fn solve(
        &mut self,
        case: &Case,
        problem: &Problem,
        search: Search,
        compile: Duration,
    ) -> Result<(), Error> {
        let measured = search.run(self.pool, problem, None)?;
        self.tell(measured.row(case, problem, search, compile))
    }

    /// Plans, changes some tasks, and measures how the next plan is made from the earlier one, in a part of
    /// the time.
    fn replan(
        &mut self,
        case: &Case,
        world: &World,
        problem: &Problem,
        search: Search,
    ) -> Result<(), Error> {
        let earlier = search.run(self.pool, problem, None)?;
        let earlier = Earlier::of(problem, &earlier.solution.plan);
        let (changed, compile) = self.compile(&replan::changed(world, search.seed));
        let search = Search {
            limit: replan::limit(search.limit),
            ..search
        };
        let measured = search.run(self.pool, &changed, Some(&earlier))?;
        self.tell(measured.row(case, &changed, search, compile))
    }

    /// The problem of the world, dealt out to batches, and how long that took.
    fn compile(&self, world: &World) -> (Problem, Duration) {
        let started = Instant::now();
        let mut problem = world.compile();
        deal(&mut problem, self.args.batches as usize);
        (problem, started.elapsed())
    }

    fn tell(&mut self, row: Row) -> Result<(), Error> {
        if self.args.output == Format::Table {
            print(|out| row.write(out))?;
        }
        self.rows.push(row);
        Ok(())
    }
}

/// Deals the tasks out to so many batches, in order.
fn deal(problem: &mut Problem, batches: usize) {
    let Some(first) = problem.batches.first().cloned() else {
        return;
    };
    let batch = |index: usize| PlannedBatch {
        key: format!("{}-{index}", first.key),
        ..first.clone()
    };
    problem.batches = (0..batches).map(batch).collect();
    let size = problem.tasks.len().div_ceil(batches).max(1);
    for (index, task) in problem.tasks.iter_mut().enumerate() {
        task.batch = index / size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_ranges_with_both_ends_or_lists() {
        assert_eq!(seeds("1..3").expect("seeds").0, [1, 2, 3]);
        assert_eq!(seeds("4, 1").expect("seeds").0, [4, 1]);
        for wrong in ["", "x", "3..1", "1..", "-1", "0..10000"] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_instance_and_another_one_another() {
        for family in Family::value_variants() {
            let sizes = Sizes {
                tasks: 10,
                nodes: 4,
            };
            let make = |seed| {
                let world = family.generate(sizes, family.goals()[0], seed, &Curves::default());
                format!("{:?}", world.compile())
            };
            assert_eq!(make(1), make(1), "{family}");
            assert!(
                *family == Family::Seedcase || make(1) != make(2),
                "{family}"
            );
        }
    }

    #[test]
    fn the_best_shortfall_of_the_seed_case_is_known() {
        let sizes = Family::Seedcase.sizes();
        let world = Family::Seedcase.generate(sizes, Goal::Shortfall, 0, &Curves::default());
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .expect("a pool");
        let search = Search {
            algorithm: Algorithm::Genetic,
            limit: Limit::Iterations(200),
            seed: 1,
        };
        let measured = search.run(&pool, &world.compile(), None).expect("a plan");
        assert_eq!(measured.solution.objective, 6000);
    }
}
