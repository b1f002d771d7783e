//! `taskbatch run`: the operator as a process, with its log and its signals.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing_subscriber::EnvFilter;

use super::number::share;
use super::{Error, Exit, manifest};
use crate::model::{Share, Topology};
use crate::operator::{self, Access, Config};

/// Options of the operator.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Kubeconfig file. Default: $KUBECONFIG, ~/.kube/config, or the service account of the pod.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig. Default: its current one.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Address of /healthz, /readyz and /metrics.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// How lines of the log look.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// The least important lines of the log that are written.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: LogLevel,
    /// Name of the lease that replicas compete for.
    #[arg(long, value_name = "NAME", default_value = "taskbatch")]
    pub lease_name: String,
    /// Namespace of the lease.
    #[arg(
        long,
        value_name = "NAMESPACE",
        env = "POD_NAMESPACE",
        hide_env_values = true,
        default_value = "default"
    )]
    pub lease_namespace: String,
    /// Name of this process in the competition, unique among those that are alive. Default: host name and process id.
    #[arg(long, value_name = "NAME", env = "POD_NAME", hide_env_values = true)]
    pub identity: Option<String>,
    /// Run the batches of this namespace only; may be repeated. Default: those of all namespaces.
    #[arg(long, value_name = "NAMESPACE")]
    pub watch_namespace: Vec<String>,
    /// File with the levels of the network between the nodes, outermost first; see docs/workloads.md.
    #[arg(long, value_name = "FILE")]
    pub topology: Option<String>,
    /// Use only nodes with these labels, as key=value,key=value.
    #[arg(long, value_name = "LABELS", value_delimiter = ',', value_parser = label)]
    pub node_selector: Vec<(String, String)>,
    /// The share of each node that the pods of all batches may request together, of each resource: above 0, up to 1.
    #[arg(long, value_name = "SHARE", default_value_t, value_parser = share)]
    pub max_share: Share,
}

/// How lines of the log look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The least important lines of the log that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Only what stops the work.
    Error,
    /// And what somebody should look at.
    Warn,
    /// And what the operator does.
    Info,
    /// And each write.
    Debug,
    /// Everything.
    Trace,
}

/// Runs the operator until SIGTERM or SIGINT.
pub fn run(args: &RunArgs) -> Result<Exit, Error> {
    start_log(args.log_format, args.log_level);
    let topology = match &args.topology {
        Some(path) => manifest::read_topology(path)?,
        None => Topology::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let stop = CancellationToken::new();
        stop_on_signal(&stop)?;
        let ended = operator::run(config(args, topology), stop).await;
        ended.map_err(|error| Error::Machine(error.to_string()))
    });
    // After an error nothing may go on, not even a search that is under way.
    runtime.shutdown_background();
    if outcome.is_ok() {
        info!("stopped");
    }
    outcome.map(|()| Exit::Done)
}

fn config(args: &RunArgs, topology: Topology) -> Config {
    let mut namespaces = args.watch_namespace.clone();
    namespaces.sort();
    namespaces.dedup();
    Config {
        access: Access {
            kubeconfig: args.kubeconfig.clone(),
            context: args.context.clone(),
        },
        listen: args.listen,
        lease_name: args.lease_name.clone(),
        lease_namespace: args.lease_namespace.clone(),
        topology: topology.into(),
        identity: args.identity.clone().unwrap_or_else(host_and_process),
        namespaces,
        node_selector: args
            .node_selector
            .iter()
            .cloned()
            .collect::<BTreeMap<_, _>>(),
        max_share: args.max_share,
    }
}

fn host_and_process() -> String {
    let host =
        std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "taskbatch".into());
    format!("{}-{}", host.trim(), std::process::id())
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must be key=value".into()),
    }
}

/// Lines go to standard error. Other crates are heard from warnings on, but for the client of kube: its
/// warnings quote whole objects, and its errors are told again by whoever made the call.
fn start_log(format: LogFormat, level: LogLevel) {
    let level = match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let others = if level == "error" { "error" } else { "warn" };
    let filter = EnvFilter::new(format!("{others},kube_client=off,taskbatch={level}"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match format {
        LogFormat::Text => {
            let colours = io::IsTerminal::is_terminal(&io::stderr())
                && std::env::var_os("NO_COLOR").is_none();
            lines.with_ansi(colours).init();
        }
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}

/// The first signal asks to finish, the second one ends the process at once.
fn stop_on_signal(stop: &CancellationToken) -> io::Result<()> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let stop = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.is_cancelled() {
                std::process::exit(1);
            }
            info!("stopping: the round is finished first");
            stop.cancel();
        }
    });
    Ok(())
}
