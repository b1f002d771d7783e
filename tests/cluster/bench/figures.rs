//! What was measured, as figures: medians, ratios and one table.

use std::fmt::Write;

use serde::Serialize;

use super::large::{Idle, Start};
use super::meter::{Part, Spent};
use super::options::Options;
use super::reaction::Reactions;
use super::throughput::{SIDES, Sample, Side};

const MIB: f64 = 1024.0 * 1024.0;

/// Everything that was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Figures {
    /// Processors of the machine, and its load (of one minute) when the measurement began and ended.
    pub(crate) processors: usize,
    /// The load at the beginning.
    pub(crate) load_before: f64,
    /// The load at the end, what is measured included.
    pub(crate) load_after: f64,
    /// The sizes.
    pub(crate) options: Option<Options>,
    /// Pods that ask for one CPU.
    pub(crate) throughput: Vec<Sample>,
    /// Pods that ask for a GPU too.
    pub(crate) gpu: Vec<Sample>,
    /// Times from apply until all are bound.
    pub(crate) reaction: Vec<Reactions>,
    /// Starts with many pods.
    pub(crate) restart: Vec<Start>,
    /// The start with the most pods.
    pub(crate) memory: Option<Start>,
    /// Nothing happens on the nodes of the throughput.
    pub(crate) idle: Option<Idle>,
    /// Nothing happens with the most pods.
    pub(crate) idle_large: Option<Idle>,
}

/// The value that half of them do not exceed; between two, their mean.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[len / 2],
        len => (sorted[len / 2 - 1] + sorted[len / 2]) / 2.0,
    }
}

/// The smallest value that so many percent do not exceed (nearest rank).
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

impl Figures {
    /// The table, for people.
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "{} processors, load {:.1} before and {:.1} after\n",
            self.processors, self.load_before, self.load_after
        );
        let Some(options) = &self.options else {
            return text;
        };
        let loads = [
            (&self.throughput, "one CPU each"),
            (&self.gpu, "one of eight GPUs each"),
        ];
        for (samples, load) in loads.into_iter().filter(|(samples, _)| !samples.is_empty()) {
            _ = writeln!(
                text,
                "\n{} pods, {load}, on {} nodes; {} requests at once; medians of {}",
                options.pods, options.nodes, options.connections, options.repetitions
            );
            text += &throughput(samples, options.pods);
        }
        if !self.reaction.is_empty() {
            _ = writeln!(
                text,
                "\nFrom apply until {} pods are bound on {} nodes, {} times, in seconds",
                options.tasks, options.nodes, options.reactions
            );
            text += "              p50    p99    max\n";
            for Reactions { owner, seconds } in &self.reaction {
                let [p50, p99, max] = [50, 99, 100].map(|rank| percentile(seconds, rank));
                let owner = format!("{owner:?}");
                _ = writeln!(text, "{owner:<12}{p50:>5.2}  {p99:>5.2}  {max:>5.2}");
            }
        }
        if let Some(idle) = &self.idle {
            _ = writeln!(
                text,
                "\nIdle for {} s on {} nodes: {}",
                options.idle,
                options.nodes,
                idling(idle)
            );
        }
        if !self.restart.is_empty() {
            _ = writeln!(
                text,
                "\nStart with {} nodes and {} pods, medians of {}: {}",
                options.big_nodes,
                options.big_pods,
                self.restart.len(),
                starting(&self.restart)
            );
        }
        if let Some(memory) = &self.memory {
            _ = writeln!(
                text,
                "\nStart with {} nodes and {} pods: {}",
                options.big_nodes,
                options.most_pods,
                starting(std::slice::from_ref(memory))
            );
        }
        if let Some(idle) = &self.idle_large {
            _ = writeln!(
                text,
                "Idle for {} s with them: {}",
                options.idle,
                idling(idle)
            );
        }
        text
    }
}

fn throughput(samples: &[Sample], pods: usize) -> String {
    let of = |side: Side| samples.iter().filter(move |sample| sample.side == side);
    let rate = |side| median(of(side).map(|sample| pods as f64 / sample.seconds));
    let mut text = String::from(
        "                      x kube-    x plain  CPU s of                            CPU s  x kube-    peak MiB of          CPU s of\n\
         \x20              pods/s scheduler  client   operator  scheduler  API server  in all  scheduler  operator  scheduler  others\n",
    );
    let all = |side| median(of(side).map(|sample| sample.spent.all));
    for side in SIDES {
        let value = |read: fn(&Spent) -> f64| median(of(side).map(|sample| read(&sample.spent)));
        let operator = |read: fn(Part) -> f64| {
            let values: Vec<f64> = of(side)
                .filter_map(|sample| sample.spent.operator.map(read))
                .collect();
            match values.is_empty() {
                true => "-".to_owned(),
                false => format!("{:.2}", median(values)),
            }
        };
        let rounded = |peak: String| peak.split('.').next().unwrap_or_default().to_owned();
        _ = writeln!(
            text,
            "{:<14} {:>6.0}  {:>8.2}  {:>6.2}  {:>9}  {:>9.2}  {:>10.2}  {:>6.2}  {:>9.2}  {:>8}  {:>9.0}  {:>8.2}",
            format!("{side:?}"),
            rate(side),
            rate(side) / rate(Side::KubeScheduler),
            rate(side) / rate(Side::Client),
            operator(|part| part.cpu),
            value(|spent| spent.scheduler.cpu),
            value(|spent| spent.api_server.cpu),
            all(side),
            all(Side::KubeScheduler) / all(side),
            rounded(operator(|part| part.peak as f64 / MIB)),
            value(|spent| spent.scheduler.peak as f64 / MIB),
            value(|spent| spent.others),
        );
    }
    text
}

fn idling(idle: &Idle) -> String {
    format!(
        "{:.2} % of one processor, {:.0} MiB resident",
        idle.share * 100.0,
        idle.rss as f64 / MIB
    )
}

fn starting(starts: &[Start]) -> String {
    let of = |read: fn(&Start) -> f64| median(starts.iter().map(read));
    let operator = |start: &Start| start.spent.operator.unwrap_or_default();
    let cpu = median(starts.iter().map(|start| operator(start).cpu));
    let peak = median(starts.iter().map(|start| operator(start).peak as f64 / MIB));
    format!(
        "ready after {:.2} s, first pod bound after {:.2} s, {cpu:.2} CPU s, peak {peak:.0} MiB, then {:.0} MiB",
        of(|start| start.ready),
        of(|start| start.works),
        of(|start| start.rss as f64 / MIB),
    )
}
