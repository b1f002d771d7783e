//! Nodes that a task keeps off for reasons of its own moment: other pods there, or what kube-scheduler said of it.

use super::Rejection;
use crate::model::{Node, Placement};

pub(super) fn admits<'a>(placement: &'a Placement, node: &'a Node) -> Result<(), Rejection<'a>> {
    match placement.off.contains(&node.name) {
        true => Err(Rejection::KeptOff),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::*;
    use super::*;

    #[test]
    fn a_task_keeps_off_the_nodes_that_are_named() {
        let mut placement = anywhere();
        let node = a_node();
        placement.off.insert("another".into());
        assert_eq!(admits(&placement, &node), Ok(()));
        placement.off.insert(node.name.clone());
        assert_eq!(admits(&placement, &node), Err(Rejection::KeptOff));
    }
}
