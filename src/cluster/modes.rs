//! The ways to run one task: sizes x numbers of workers, with duration, price and value.

use crate::model::{
    CPU, Exact, Fraction, Goal, Millis, Node, Overflow, Resources, Scaling, Task, Topology, exact,
};
use num_traits::ToPrimitive;

/// One size of a task, not yet tied to nodes.
pub struct Size {
    /// Number of pods.
    pub pods: u32,
    /// Amount of the sized resource of each pod; 0 without one.
    pub amount: i64,
    /// Complete requests of the sized container.
    pub requests: Resources,
    /// Effective request of a pod.
    pub effective: Resources,
    /// Computing time on a node of speed 1, in exact ms.
    pub work: Fraction,
    /// S(a / a_ref).
    pub speedup: Fraction,
}

/// How many sizes a task has.
pub fn count(task: &Task) -> usize {
    let sized = task.sized.as_ref().and_then(|name| task.ranges.get(name));
    let sizes = sized.map_or(1, |range| {
        usize::try_from(range.len()).unwrap_or(usize::MAX)
    });
    sizes.saturating_mul(task.workers.0.len())
}

/// Every size of a task, smallest first.
pub fn sizes(task: &Task) -> Result<Vec<Size>, Overflow> {
    let sized = task.sized.as_deref();
    let amounts: Vec<i64> = match sized.and_then(|name| task.ranges.get(name)) {
        Some(range) => range.sizes().collect(),
        None => vec![sized.map_or(0, |name| task.own.get(name))],
    };
    let rate = || Fraction::from(&task.rate);
    let mut found = Vec::new();
    for &pods in &task.workers.0 {
        for &amount in &amounts {
            let requests = requests(task, amount);
            let speedup = speedup(task, amount, pods);
            found.push(Size {
                pods,
                amount,
                effective: task.shape.effective(&requests)?,
                requests,
                work: Fraction::from(&task.estimate.process) / (speedup.clone() * rate()),
                speedup,
            });
        }
    }
    Ok(found)
}

/// The container's requests at this amount of the sized resource: the other ranged resources take
/// their smallest size of at least min x a / a_ref, at most max.
fn requests(task: &Task, amount: i64) -> Resources {
    let sized = task.sized.as_deref();
    let smallest = sized
        .and_then(|name| task.ranges.get(name))
        .map(|range| range.min);
    let mut requests = task.own.clone();
    for (name, range) in &task.ranges {
        let size = match smallest {
            _ if Some(name.as_str()) == sized => amount,
            None => range.min,
            Some(smallest) => {
                let wanted = i128::from(range.min) * i128::from(amount);
                let unit = i128::from(smallest.max(1));
                let grown = range
                    .sizes()
                    .find(|size| i128::from(*size) * unit >= wanted);
                grown.unwrap_or(range.max)
            }
        };
        requests.set(name, size);
    }
    requests
}

/// S(a / a_ref), for the total amount over all workers; 1 at the smallest size with the fewest workers.
fn speedup(task: &Task, amount: i64, pods: u32) -> Fraction {
    let range = task.sized.as_ref().and_then(|name| task.ranges.get(name));
    let smallest = range.map_or(amount, |range| range.min);
    let one = || Fraction::from(1);
    let mut x = Fraction::new(pods.into(), task.workers.min().into());
    if smallest > 0 {
        x = x * Fraction::new(amount, smallest);
    }
    if x <= Fraction::from(0) {
        return one();
    }
    match &task.estimate.scaling {
        Scaling::Linear => x,
        Scaling::Amdahl(parallel) => {
            let parallel = || Fraction::from(parallel);
            one() / (one() - parallel() + parallel() / x)
        }
        Scaling::Power(exponent) => power(&x.into(), *exponent),
        Scaling::Table(points) => {
            let total = |amount: i64, pods: u32| exact(amount) * exact(pods);
            let here = interpolate(points, &total(amount, pods));
            here / interpolate(points, &total(smallest, task.workers.min()))
        }
    }
}

/// libm's own `pow` is the same on every platform, that of the C library is not.
fn power(x: &Exact, exponent: f64) -> Fraction {
    x.to_f64()
        .map(|x| libm::pow(x, exponent))
        .and_then(Exact::from_float)
        .filter(|speedup| *speedup > exact(0))
        .map_or_else(|| Fraction::from(1), |speedup| Fraction::from(&speedup))
}

/// Piecewise linear between points sorted by amount, constant past the ends. Never empty.
fn interpolate(points: &[(Exact, Exact)], x: &Exact) -> Fraction {
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (&pair[0], &pair[1]);
        if x0 <= x && x <= x1 {
            let [x0, y0, x1, y1, x] = [x0, y0, x1, y1, x].map(Fraction::from);
            return y0.clone() + (y1 - y0) * (x - x0.clone()) / (x1 - x0);
        }
    }
    match (points.first(), points.last()) {
        (Some((x0, y0)), Some((_, last))) => Fraction::from(if x < x0 { y0 } else { last }),
        _ => Fraction::from(1),
    }
}

/// How long a pod takes on a node.
pub struct Length {
    /// In all, in exact ms.
    pub exact: Fraction,
    /// The same, rounded up.
    pub total: Millis,
    /// Part that reads, rounded up.
    pub read: Millis,
    /// Part that computes, rounded up.
    pub compute: Millis,
}

impl Length {
    /// With so much time to communicate, rounded up once; the longest that 64 bits say where it is longer.
    pub fn with(&self, communication: &Fraction) -> Millis {
        let sum = self.exact.clone() + communication.clone();
        sum.ceil().unwrap_or(Millis::MAX)
    }
}

/// Duration of a pod on a node of this speed; `None` beyond 64 bits.
///
/// `T = (1 - o) (read + comp) + o max(read, comp)`, computed exactly and rounded up once. What is the same:
/// the longer part as a whole, and that share of the shorter one that does not overlap it.
pub fn duration(task: &Task, work: &Fraction, speed: &Exact) -> Option<Length> {
    let read = Fraction::from(&task.estimate.read);
    let compute = work.clone() / Fraction::from(speed);
    let alone = Fraction::from(1) - Fraction::from(&task.estimate.overlap);
    let (reads, computes) = (read.ceil()?, compute.ceil()?);
    let (shorter, longer) = if read < compute {
        (read, compute)
    } else {
        (compute, read)
    };
    let exact = longer + alone * shorter;
    Some(Length {
        total: exact.ceil()?,
        exact,
        read: reads,
        compute: computes,
    })
}

/// How long a gang of so many pods communicates, by the outermost level that it spans; nothing where that takes no time
/// at any level.
pub fn communication(task: &Task, pods: u32, topology: &Topology) -> Vec<Fraction> {
    let Some(exchange) = task.together.exchange.as_ref().filter(|_| pods > 1) else {
        return Vec::new();
    };
    let levels = topology.levels.iter();
    let terms: Vec<Fraction> = levels
        .map(|level| level.communication(pods, exchange))
        .collect();
    let takes_time = terms.iter().any(|term| *term > Fraction::from(0));
    if takes_time { terms } else { Vec::new() }
}

/// Price of a pod on a node, in millionths for each ms: the price of the whole node an hour x the pod's dominant share
/// of it.
pub fn price(hourly: &Exact, node: &Node, effective: &Resources) -> Fraction {
    let shares = effective.iter().filter_map(|(name, amount)| {
        let all = node.allocatable.get(name);
        (name != "pods" && amount > 0 && all > 0).then(|| Fraction::new(amount, all))
    });
    let dominant = shares.max().unwrap_or_else(|| Fraction::from(0));
    Fraction::from(hourly) * dominant * Fraction::new(1_000_000, 3_600_000)
}

/// What a copy adds to a static goal, in thousandths; 0 for timed goals. `None` beyond 64 bits.
///
/// `largest` is the largest allocatable amount of the sized resource on one node.
pub fn value(task: &Task, goal: Goal, size: &Size, largest: i64) -> Option<i64> {
    match goal {
        Goal::Shortfall => {
            let unit = || {
                Fraction::from(if task.sized.as_deref() == Some(CPU) {
                    1000
                } else {
                    1
                })
            };
            let amount = |amount: i64| Fraction::from(amount) / unit();
            let held = amount(size.amount) * Fraction::from(i64::from(size.pods));
            let capacity = if largest > 0 {
                amount(largest)
            } else {
                Fraction::from(1)
            };
            let lack = |millis: &Exact| {
                let seconds = Fraction::from(millis) / Fraction::from(1000);
                (seconds / capacity.clone() - held.clone()).max(Fraction::from(0))
            };
            let total = held.clone() + lack(&task.estimate.read) + lack(&task.estimate.process);
            (total * Fraction::from(1000)).ceil()
        }
        Goal::Throughput => {
            let thousandths = Fraction::from(task.weight) * Fraction::from(1000);
            (size.speedup.clone() * Fraction::from(&task.rate) * thousandths).floor()
        }
        Goal::Makespan | Goal::FlowTime | Goal::Cost => Some(0),
    }
}
