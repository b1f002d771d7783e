//! The ways to run one task: sizes x numbers of workers, with duration, price and value.

use crate::model::{
    CPU, Exact, Goal, Millis, Node, Overflow, Resources, Scaling, Task, ceil_i64, exact, floor_i64,
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
    pub work: Exact,
    /// S(a / a_ref).
    pub speedup: Exact,
}

/// Every size of a task, smallest first.
pub fn sizes(task: &Task) -> Result<Vec<Size>, Overflow> {
    let sized = task.sized.as_deref();
    let amounts: Vec<i64> = match sized.and_then(|name| task.ranges.get(name)) {
        Some(range) => range.sizes().collect(),
        None => vec![sized.map_or(0, |name| task.own.get(name))],
    };
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
                work: &task.estimate.process / &speedup,
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
fn speedup(task: &Task, amount: i64, pods: u32) -> Exact {
    let range = task.sized.as_ref().and_then(|name| task.ranges.get(name));
    let smallest = range.map_or(amount, |range| range.min);
    let mut x = Exact::new(pods.into(), task.workers.min().into());
    if smallest > 0 {
        x *= Exact::new(amount.into(), smallest.into());
    }
    if x <= exact(0) {
        return exact(1);
    }
    match &task.estimate.scaling {
        Scaling::Linear => x,
        Scaling::Amdahl(parallel) => exact(1) / (exact(1) - parallel + parallel / x),
        Scaling::Power(exponent) => power(&x, *exponent),
        Scaling::Table(points) => {
            let total = |amount: i64, pods: u32| exact(amount) * exact(pods);
            interpolate(points, &total(amount, pods))
                / interpolate(points, &total(smallest, task.workers.min()))
        }
    }
}

/// libm's own `pow` is the same on every platform, that of the C library is not.
fn power(x: &Exact, exponent: f64) -> Exact {
    x.to_f64()
        .map(|x| libm::pow(x, exponent))
        .and_then(Exact::from_float)
        .filter(|speedup| *speedup > exact(0))
        .unwrap_or_else(|| exact(1))
}

/// Piecewise linear between points sorted by amount, constant past the ends. Never empty.
fn interpolate(points: &[(Exact, Exact)], x: &Exact) -> Exact {
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (&pair[0], &pair[1]);
        if x0 <= x && x <= x1 {
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0);
        }
    }
    match (points.first(), points.last()) {
        (Some((x0, y0)), Some((_, last))) => if x < x0 { y0 } else { last }.clone(),
        _ => exact(1),
    }
}

/// Duration of a pod on a node of this speed, with the parts that read and compute; `None` beyond 64 bits.
///
/// `T = (1 - o) (read + comp) + o max(read, comp)`, computed exactly and rounded up once.
pub fn duration(task: &Task, work: &Exact, speed: &Exact) -> Option<(Millis, Millis, Millis)> {
    let estimate = &task.estimate;
    let compute = work / speed;
    let sum = &estimate.read + &compute;
    let total = if estimate.overlap == exact(0) {
        sum
    } else {
        let longer = estimate.read.clone().max(compute.clone());
        (exact(1) - &estimate.overlap) * sum + &estimate.overlap * longer
    };
    Some((
        ceil_i64(&total)?,
        ceil_i64(&estimate.read)?,
        ceil_i64(&compute)?,
    ))
}

/// Price of a pod on a node, in millionths for each ms: the node's price an hour x the pod's dominant share of it.
pub fn price(node: &Node, effective: &Resources) -> Exact {
    let shares = effective.iter().filter_map(|(name, amount)| {
        let all = node.allocatable.get(name);
        (name != "pods" && amount > 0 && all > 0).then(|| Exact::new(amount.into(), all.into()))
    });
    let dominant = shares.max().unwrap_or_else(|| exact(0));
    &node.price * dominant * Exact::new(1_000_000.into(), 3_600_000.into())
}

/// What a copy adds to a static goal, in thousandths; 0 for timed goals. `None` beyond 64 bits.
///
/// `largest` is the largest allocatable amount of the sized resource on one node.
pub fn value(task: &Task, goal: Goal, size: &Size, largest: i64) -> Option<i64> {
    match goal {
        Goal::Shortfall => {
            let unit = exact(if task.sized.as_deref() == Some(CPU) {
                1000
            } else {
                1
            });
            let held = exact(size.amount) * exact(size.pods) / &unit;
            let capacity = if largest > 0 {
                exact(largest) / unit
            } else {
                exact(1)
            };
            let lack = |millis: &Exact| (millis / exact(1000) / &capacity - &held).max(exact(0));
            let total = &held + lack(&task.estimate.read) + lack(&task.estimate.process);
            ceil_i64(&(total * exact(1000)))
        }
        Goal::Throughput => floor_i64(&(&size.speedup * exact(task.weight) * exact(1000))),
        Goal::Makespan | Goal::FlowTime | Goal::Cost => Some(0),
    }
}
