//! Nodes for a copy that comes in: where it can start soonest, as tight as that goes.

use rand_chacha::ChaCha8Rng;

use crate::model::{Millis, Near};
use crate::solver::decoder::sequences::below;

use super::replay::{free_at, free_from};
use super::{Queue, Stand};

/// At most about so many nodes are looked at for each run.
const MOST_LOOKED: usize = 64;
/// One of so many single pods takes any node.
const ANY: usize = 8;

impl Queue<'_> {
    /// Gives the change nodes at this position of the queue, and says when it ends there; `None` where there are none.
    /// A move of chance may take any node.
    pub(super) fn find_nodes(
        &mut self,
        change: usize,
        (ready, position): (Millis, usize),
        by_chance: bool,
        random: &mut ChaCha8Rng,
    ) -> Option<Millis> {
        let (copy, mode) = (
            self.changes[change].copy as usize,
            self.changes[change].item.mode,
        );
        let way = self.ground.way(copy, mode);
        let scope = below(random, way.scopes.len().max(1));
        let (runs, is_packed) = way.scopes.get(scope)?;
        self.look(copy, mode, (runs, *is_packed), position, random);
        let stands = &mut self.changes[change].item.stands;
        stands.clear();
        let soonest;
        let offers = &mut self.work.offers;
        if way.pods == 1 || *is_packed {
            // Offers of one stand each: the soonest end, then the latest room.
            let choice = |choice: u32| self.ground.choice(choice).duration;
            let rank = |&(free, _, of): &(Millis, u32, u32)| {
                (free.max(ready).saturating_add(choice(of)), -free)
            };
            let best = match below(random, ANY) {
                0 if by_chance && !offers.is_empty() => offers[below(random, offers.len())],
                _ => *offers.iter().min_by_key(|offer| rank(offer))?,
            };
            stands.push(Stand {
                lane: best.1,
                pods: way.pods,
                choice: best.2,
            });
            soonest = best.0.max(ready);
        } else {
            let enough = (way.pods as usize).checked_sub(1)?;
            if offers.len() <= enough {
                return None;
            }
            offers.sort_unstable();
            let start = offers[enough].0.max(ready);
            soonest = start;
            offers.truncate(offers.partition_point(|(free, ..)| *free <= start));
            let wishes_near = self.ground.instance().task(copy).near != Near::Anywhere;
            gather(offers, stands, way.pods, wishes_near, random);
        }
        let stands = &self.changes[change].item.stands;
        let duration = self.ground.lasting(copy, mode, stands);
        self.changes[change].item.duration = duration;
        Some(soonest + duration)
    }

    /// Offers (free from, lane, choice): one for each pod that a node can hold, or for all pods together.
    fn look(
        &mut self,
        copy: usize,
        mode: usize,
        (runs, is_packed): (&[usize], bool),
        position: usize,
        random: &mut ChaCha8Rng,
    ) {
        let mut offers = std::mem::take(&mut self.work.offers);
        offers.clear();
        let view = self.ground.mode(copy, mode);
        let way = self.ground.way(copy, mode);
        let plan = (
            self.lanes.as_slice(),
            self.items.as_slice(),
            self.at.as_slice(),
        );
        for &index in runs {
            let (run, choice) = (&view.runs[index], way.choices[index]);
            let usage = self.ground.usage(choice);
            let lanes = self.ground.lanes_of(run.class);
            let most = run.slots_for(run.duration).min(u64::from(way.pods)) as u32;
            let stride = lanes.len().div_ceil(MOST_LOOKED).max(1);
            let first = lanes.start + below(random, stride) as u32;
            for lane in (first..lanes.end).step_by(stride) {
                let free = free_at(&self.work, plan, lane, position);
                let pods = match is_packed {
                    true => way.pods..=way.pods,
                    false => 1..=most,
                };
                for pods in pods {
                    let from = free_from(free, usage, pods);
                    if from == Millis::MAX {
                        break;
                    }
                    offers.push((from, lane, choice));
                }
            }
        }
        self.work.offers = offers;
    }
}

/// Takes nodes for all pods of those that are free by then: few of them, those that are free last, or any.
fn gather(
    offers: &mut [(Millis, u32, u32)],
    stands: &mut Vec<Stand>,
    pods: u32,
    wishes_near: bool,
    random: &mut ChaCha8Rng,
) {
    offers.sort_unstable_by_key(|&(free, lane, _)| (lane, free));
    // One stand for each node, with all pods that have room there, by what is best.
    let mut rooms: Vec<(i64, Stand)> = Vec::new();
    let rule = if wishes_near { 0 } else { below(random, 3) };
    for of_lane in offers.chunk_by(|one, other| one.1 == other.1) {
        let (_, lane, choice) = of_lane[0];
        let room = Stand {
            lane,
            pods: of_lane.len() as u32,
            choice,
        };
        let last = of_lane.iter().map(|(free, ..)| *free).max().unwrap_or(0);
        let rank = match rule {
            0 => -(of_lane.len() as i64),
            1 => -last,
            _ => below(random, 1 << 20) as i64,
        };
        rooms.push((rank, room));
    }
    rooms.sort_by_key(|(rank, _)| *rank);
    let mut left = pods;
    for (_, room) in rooms {
        if left == 0 {
            break;
        }
        let pods = room.pods.min(left);
        left -= pods;
        stands.push(Stand { pods, ..room });
    }
}
