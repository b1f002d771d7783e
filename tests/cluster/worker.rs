//! A worker of a gang: finds the others by the variables of its framework alone, and adds up one number of each.
//!
//! `cluster worker FRAMEWORK` prints the sum of 10^rank over all workers, which every worker must come to.

use std::env::var;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// How long the first worker is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where workers of no framework talk.
const PORT: u16 = 7077;

/// What a worker knows of its gang.
struct Gang {
    rank: u32,
    workers: u32,
    /// Where rank 0 listens.
    first: String,
}

/// Meets the others and prints the sum.
pub(crate) fn run() -> Result<ExitCode> {
    let framework = std::env::args().nth(2).context("a framework")?;
    println!("{}", sum(&Gang::of(&framework)?)?);
    Ok(ExitCode::SUCCESS)
}

impl Gang {
    fn of(framework: &str) -> Result<Self> {
        Ok(match framework {
            "Generic" => {
                let hosts = var("TASKBATCH_HOSTS")?;
                let first = hosts.split(',').next().unwrap_or_default();
                Self {
                    rank: var("TASKBATCH_WORKER")?.parse()?,
                    workers: u32::try_from(hosts.split(',').count())?,
                    first: format!("{first}:{PORT}"),
                }
            }
            "Torch" => Self {
                rank: var("RANK")?.parse()?,
                workers: var("WORLD_SIZE")?.parse()?,
                first: format!("{}:{}", var("MASTER_ADDR")?, var("MASTER_PORT")?),
            },
            "Jax" => Self {
                rank: var("JAX_PROCESS_ID")?.parse()?,
                workers: var("JAX_NUM_PROCESSES")?.parse()?,
                first: var("JAX_COORDINATOR_ADDRESS")?,
            },
            "TensorFlow" => {
                let config: Value = serde_json::from_str(&var("TF_CONFIG")?)?;
                let all = config["cluster"]["worker"].as_array().context("workers")?;
                let first = all.first().and_then(Value::as_str).context("a worker")?;
                Self {
                    rank: serde_json::from_value(config["task"]["index"].clone())?,
                    workers: u32::try_from(all.len())?,
                    first: first.to_owned(),
                }
            }
            other => bail!("{other} is no framework"),
        })
    }
}

/// An all-reduce through rank 0.
fn sum(gang: &Gang) -> Result<u64> {
    let own = 10u64.pow(gang.rank);
    if gang.rank > 0 {
        let mut line = reach(&gang.first)?;
        line.write_all(&own.to_be_bytes())?;
        return receive(&mut line);
    }
    let listener = TcpListener::bind(&gang.first).with_context(|| gang.first.clone())?;
    let mut lines = Vec::new();
    let mut sum = own;
    for _ in 1..gang.workers {
        let (mut line, _) = listener.accept()?;
        sum += receive(&mut line)?;
        lines.push(line);
    }
    for line in &mut lines {
        line.write_all(&sum.to_be_bytes())?;
    }
    Ok(sum)
}

/// Workers start in any order.
fn reach(address: &str) -> Result<TcpStream> {
    let begun = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Ok(line) => return Ok(line),
            Err(error) if begun.elapsed() > PATIENCE => {
                return Err(error).with_context(|| address.to_owned());
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn receive(line: &mut TcpStream) -> Result<u64> {
    let mut bytes = [0; 8];
    line.read_exact(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes))
}
