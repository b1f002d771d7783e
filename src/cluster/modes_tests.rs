//! Modes against their definition, written down once more in plain exact rationals.

use num_traits::ToPrimitive;
use proptest::prelude::*;

use super::modes;
use crate::model::{
    CPU, Estimate, Exact, Fraction, Goal, MEMORY, Node, Placement, PodShape, Range, Resources,
    Scaling, Task, Together, Workers, ceil_i64, exact, floor_i64,
};

fn rational(
    above: impl Strategy<Value = i64>,
    below: impl Strategy<Value = i64>,
) -> impl Strategy<Value = Exact> {
    (above, below).prop_map(|(above, below)| Exact::new(above.into(), below.into()))
}

/// A number above 0: of a decimal that people write, or so long that its sums leave 128 bits.
fn positive() -> impl Strategy<Value = Exact> {
    prop_oneof![
        rational(1..5_000_000i64, prop_oneof![Just(1), Just(10), Just(1000)]),
        rational(1..i64::MAX >> 8, 1..i64::MAX >> 8),
    ]
}

fn fraction() -> impl Strategy<Value = Exact> {
    prop_oneof![
        Just(exact(0)),
        Just(exact(1)),
        rational(0..=1000i64, Just(1000)),
        (0..i64::MAX).prop_map(|above| Exact::new(above.into(), i64::MAX.into())),
    ]
}

fn scaling() -> impl Strategy<Value = Scaling> {
    let points = proptest::collection::btree_map(positive(), positive(), 1..4);
    prop_oneof![
        Just(Scaling::Linear),
        fraction().prop_map(Scaling::Amdahl),
        (0.0..4.0f64).prop_map(Scaling::Power),
        points.prop_map(|points| Scaling::Table(points.into_iter().collect())),
    ]
}

prop_compose! {
    fn task()(
        read in prop_oneof![Just(exact(0)), positive()], process in positive(), overlap in fraction(), scaling in scaling(),
        min in 1..64i64, sizes in 0..6i64, step in 1..9i64, workers in 1..4u32, weight in 1..1000i64,
        sized in prop_oneof![Just(CPU), Just("nvidia.com/gpu")],
    ) -> Task {
        Task {
            together: Together::default(),
            name: "t".into(),
            count: 1,
            weight,
            container: "main".into(),
            own: Resources::default(),
            ranges: [(sized.to_owned(), Range { min, max: min + sizes * step, step })].into(),
            sized: Some(sized.to_owned()),
            shape: PodShape::default(),
            placement: Placement::default(),
            delegated: false,
            estimate: Estimate { read, process, guessed: false, scaling, overlap },
            workers: Workers((workers..workers + 2).collect()),
            after: Vec::new(),
        deadline: None,
 rate: exact(1),
 price: None,
 flavor: None,
 flavors: Vec::new(),
        }
    }
}

/// S(a / a_ref) by its definition.
fn speedup(task: &Task, amount: i64, pods: u32) -> Exact {
    let smallest = task.ranges.values().next().expect("a range").min;
    let x = Exact::new(amount.into(), smallest.into())
        * Exact::new(pods.into(), task.workers.min().into());
    match &task.estimate.scaling {
        Scaling::Linear => x,
        Scaling::Amdahl(parallel) => exact(1) / (exact(1) - parallel + parallel / x),
        Scaling::Power(exponent) => {
            Exact::from_float(libm::pow(x.to_f64().expect("a number"), *exponent)).expect("finite")
        }
        Scaling::Table(points) => {
            let at = |x: Exact| {
                let after = points.iter().position(|(other, _)| *other > x);
                match after {
                    Some(0) => points[0].1.clone(),
                    None => points[points.len() - 1].1.clone(),
                    Some(after) => {
                        let ((x0, y0), (x1, y1)) = (&points[after - 1], &points[after]);
                        y0 + (y1 - y0) * (x - x0) / (x1 - x0)
                    }
                }
            };
            at(exact(amount) * exact(pods)) / at(exact(smallest) * exact(task.workers.min()))
        }
    }
}

proptest! {
    #[test]
    fn durations_and_values_are_those_of_their_definition(task in task(), speed in positive(), largest in 0..1000i64) {
        for size in modes::sizes(&task).expect("short sums") {
            let speedup = speedup(&task, size.amount, size.pods);
            prop_assert_eq!(Exact::from(size.speedup.clone()), speedup.clone());

            let Estimate { read, process, overlap, .. } = &task.estimate;
            let compute = process / &speedup / &speed;
            let longer = read.clone().max(compute.clone());
            let total = (exact(1) - overlap) * (read + &compute) + overlap * longer;
            let wanted = [&total, read, &compute].map(ceil_i64);
            let wanted = wanted.into_iter().collect::<Option<Vec<i64>>>();
            let found = modes::duration(&task, &size.work, &speed);
            prop_assert_eq!(found.map(|it| vec![it.total, it.read, it.compute]), wanted);

            let throughput = floor_i64(&(speedup * exact(task.weight) * exact(1000)));
            prop_assert_eq!(modes::value(&task, Goal::Throughput, &size, largest), throughput);
            let unit = exact(if task.sized.as_deref() == Some(CPU) { 1000 } else { 1 });
            let held = exact(size.amount) * exact(size.pods) / &unit;
            let capacity = if largest > 0 { exact(largest) / unit } else { exact(1) };
            let lack = |millis: &Exact| (millis / exact(1000) / &capacity - &held).max(exact(0));
            let shortfall = ceil_i64(&((&held + lack(read) + lack(process)) * exact(1000)));
            prop_assert_eq!(modes::value(&task, Goal::Shortfall, &size, largest), shortfall);
        }
    }

    #[test]
    fn a_price_is_the_dominant_share_of_the_node(
        price in positive(), asked in proptest::array::uniform2(0..i64::MAX), there in proptest::array::uniform2(0..i64::MAX),
    ) {
        let amounts = |[cpu, memory]: [i64; 2]| -> Resources { [(CPU, cpu), (MEMORY, memory), ("pods", 1)].into_iter().collect() };
        let node = Node {
            name: "n".into(),
            labels: Default::default(),
            taints: Vec::new(),
            unschedulable: false,
            ready: true,
            allocatable: amounts(there),
            speed: exact(1),
            price: price.clone(),
            read_bandwidth: None,
        };
        let share = |at: usize| {
            if there[at] > 0 { Exact::new(asked[at].into(), there[at].into()) } else { exact(0) }
        };
        let wanted = price * share(0).max(share(1)) * exact(1_000_000) / exact(3_600_000);
        let found: Fraction = modes::price(&node.price, &node, &amounts(asked));
        prop_assert_eq!(Exact::from(found), wanted);
    }
}
