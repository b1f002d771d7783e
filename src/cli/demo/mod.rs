//! `taskbatch demo`: the operator's own loop on a simulated cluster, as a time lapse. No cluster, no network.

mod ledger;
mod names;
mod narrator;
mod pace;

use std::fs;
use std::io::{self, Write};
use std::sync::Arc;

use clap::Args;
use serde::de::DeserializeOwned;

use super::gantt::Screen;
use super::manifest::{self, Paths};
use super::number::share;
use super::{Error, Exit, svg};
use crate::api::TaskBatch;
use crate::cluster::node;
use crate::decide::Memory;
use crate::model::{Millis, Node, Share, Topology};
use crate::sim::{Cluster, End, Faults, Options, run};
use narrator::Narrator;
use pace::Pace;

const BATCH: &str = include_str!("../../../examples/demo.yaml");
const NODES: &str = include_str!("../../../examples/demo-nodes.yaml");
/// Plans that a search tries: as many as it does in some tenths of a second.
const ITERATIONS: u64 = 2000;
/// From the admission of a pod to its start, and from its deletion to its end.
const SECOND: Millis = 1000;
const SPINNING: &str =
    "the operator's loop does not come to rest; this is a mistake in taskbatch, please report it";
/// Nobody watches longer than a year of virtual time.
const UNTIL: Millis = 365 * 24 * 3_600_000;

/// What to run on which simulated nodes, and how fast.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Files with TaskBatches, in YAML or JSON; - is standard input; default: a batch of a dozen tasks
    #[arg(short = 'f', long = "filename", value_name = "FILE", num_args = 1..)]
    files: Vec<String>,
    /// Files with Nodes, such as kubectl get nodes -o yaml prints; default: 4 CPU nodes and 2 GPU nodes
    #[arg(long, value_name = "FILE", num_args = 1..)]
    nodes: Vec<String>,
    /// File with the levels of the network between the nodes, outermost first; see docs/workloads.md
    #[arg(long, value_name = "FILE")]
    topology: Option<String>,
    /// Seconds of the simulation in a second; 0 or no terminal: as fast as possible; default: about 12 seconds in all
    #[arg(long, value_name = "FACTOR", value_parser = pace::factor)]
    speed: Option<f64>,
    /// Seed of the searches and of everything that happens by chance; default: the batch's, and 0
    #[arg(long, value_name = "SEED", value_parser = clap::value_parser!(u64).range(..=(1u64 << 53) - 1))]
    seed: Option<u64>,
    /// How far actual lengths scatter around the expected ones; 0: not at all
    #[arg(long, value_name = "SIGMA", default_value_t = 0.05, value_parser = pace::factor)]
    noise: f64,
    /// The share of each node that the pods of all batches may request together
    #[arg(long, value_name = "SHARE", default_value_t, value_parser = share)]
    max_share: Share,
    /// Where to write the picture of the first plan
    #[arg(long, value_name = "FILE")]
    svg: Option<String>,
}

/// Runs the operator on a simulated cluster until nothing can change any more.
pub fn demo(args: &DemoArgs) -> Result<Exit, Error> {
    let (batches, nodes, topology) = read(args)?;
    let cluster = cluster(args, batches, nodes);
    let narrator = Narrator::new(io::stdout(), Screen::stdout(), Pace::new(args.speed));
    play(args, cluster, topology, narrator)
}

fn play(
    args: &DemoArgs,
    mut cluster: Cluster,
    topology: Arc<Topology>,
    mut narrator: Narrator<impl Write>,
) -> Result<Exit, Error> {
    narrator.introduce(&cluster);
    let mut memory = Memory::of(topology);
    let ran = run(&mut cluster, &mut memory, UNTIL, &mut narrator);
    narrator.conclude(&cluster);
    match ran.end {
        End::Settled => {}
        End::TimeUp => narrator.say("A year is over, and not everything has come to rest."),
        End::Spinning => return Err(Error::Machine(SPINNING.into())),
    }
    if let Some(path) = &args.svg {
        let picture = narrator.picture().map(svg::render).unwrap_or_default();
        fs::write(path, picture)
            .map_err(|error| Error::Machine(format!("cannot write {path}: {error}")))?;
        narrator.say(&format!("The picture of the plan is in {path}."));
    }
    narrator.finish()?;
    Ok(Exit::Done)
}

/// What the demo runs, on which nodes, and the network between them.
type Stage = (Vec<TaskBatch>, Vec<Node>, Arc<Topology>);

/// The batches and nodes of the files, or those of the demo.
fn read(args: &DemoArgs) -> Result<Stage, Error> {
    let input = manifest::read(&Paths {
        batches: &args.files,
        nodes: &args.nodes,
        pods: &[],
        topology: args.topology.as_deref(),
    })?;
    let topology = input.topology.clone();
    let batches = match args.files.as_slice() {
        [] => embedded(BATCH)?,
        _ => input
            .batches
            .into_iter()
            .map(|manifest| manifest.wire)
            .collect(),
    };
    let nodes = match args.nodes.as_slice() {
        [] => {
            let nodes = embedded(NODES)?;
            let nodes: Result<_, _> = nodes.iter().map(node::read).collect();
            nodes.map_err(|error| Error::Machine(error.to_string()))?
        }
        _ => input.nodes.iter().map(|node| Node::clone(node)).collect(),
    };
    Ok((batches, nodes, topology))
}

/// The objects of a manifest that is part of the program.
fn embedded<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, Error> {
    serde_saphyr::from_multiple(text).map_err(|error| Error::Machine(error.to_string()))
}

fn cluster(args: &DemoArgs, batches: Vec<TaskBatch>, nodes: Vec<Node>) -> Cluster {
    let mut cluster = Cluster::new(Options {
        seed: args.seed.unwrap_or(0),
        startup: SECOND,
        stop: SECOND,
        iterations: ITERATIONS,
        share: args.max_share,
        faults: Faults {
            noise: args.noise,
            ..Faults::default()
        },
        ..Options::default()
    });
    nodes.into_iter().for_each(|node| cluster.set_node(node));
    for mut batch in batches {
        if let Some(seed) = args.seed.and_then(|seed| i64::try_from(seed).ok()) {
            batch.spec.optimizer.seed = seed;
        }
        cluster.apply(batch);
    }
    cluster
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> String {
        let args = DemoArgs {
            files: vec![],
            nodes: vec![],
            topology: None,
            speed: Some(0.0),
            seed: Some(3),
            noise: 0.1,
            max_share: Share::WHOLE,
            svg: None,
        };
        let (batches, nodes, topology) = read(&args).expect("the demo's own manifests");
        let mut out = Vec::new();
        let screen = Screen {
            width: 100,
            colour: false,
        };
        let narrator = Narrator::new(&mut out, screen, Pace::new(args.speed));
        play(&args, cluster(&args, batches, nodes), topology, narrator)
            .expect("writes into memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn the_demo_tells_the_whole_story_and_always_the_same() {
        let story = told();
        for part in [
            "6 nodes: 4 with 16 cpu; 2 with 8 gpu, 64 cpu",
            "00:00:00  nightly: 12 tasks, 21 copies, goal Makespan",
            "no place: foundation  ExceedsCapacity: needs 16 nvidia.com/gpu",
            "00:00:01  pretrain starts on gpu-",
            "pretrain is done on gpu-",
            "TASK ",
            "20 of 20 copies that ran succeeded",
            "foundation waits: ExceedsCapacity",
        ] {
            assert!(story.contains(part), "{part:?} is missing in\n{story}");
        }
        assert_eq!(story, told());
    }
}
