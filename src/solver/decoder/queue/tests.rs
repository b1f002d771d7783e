//! Moves against plans placed from nothing.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::model::Goal;
use crate::solver::decoder::Decoder;
use crate::solver::decoder::preference::Preference;
use crate::solver::instance::Instance;
use crate::solver::schedule::Recipe;
use crate::solver::tests::problems;

use super::{Queue, QueueGround};

#[test]
fn what_moves_leave_is_what_the_queue_says() {
    let (mut walked, mut accepted) = (0, 0);
    for seed in 0..2_000 {
        let random = &mut ChaCha8Rng::seed_from_u64(seed);
        let problem = problems::generate(Goal::FlowTime, problems::Sizes::Small, random);
        let instance = Instance::new(&problem);
        let Some(ground) = QueueGround::new(&instance) else {
            continue;
        };
        let mut decoder = Decoder::new(&instance);
        decoder.decode(&Recipe {
            order: (0..instance.copies()).collect(),
            modes: vec![None; instance.copies()],
            preference: Preference::EarliestEnd,
        });
        let Some(mut queue) = Queue::new(&ground, decoder.schedule()) else {
            continue;
        };
        walked += 1;
        for round in 0..20 {
            let before = queue.order.clone();
            queue.walk(20, if round % 2 == 0 { 50.0 } else { 1e9 }, random, || {
                false
            });
            accepted += usize::from(before != queue.order);
            let times = |queue: &Queue| -> Vec<_> {
                let items = queue.items.iter();
                items.map(|item| (item.start, item.end)).collect()
            };
            let (energy, by_moves) = (queue.energy, times(&queue));
            queue.place_all().expect("room for all");
            assert_eq!(times(&queue), by_moves, "case {seed}");
            assert_eq!(queue.energy, energy, "case {seed}");
        }
        assert!(queue.best_energy <= queue.energy);
    }
    assert!(walked > 300 && accepted > 1_000, "{walked} {accepted}");
}
