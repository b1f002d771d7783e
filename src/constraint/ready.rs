//! A node whose Ready condition is there and not True takes no pods, whatever they tolerate.

use super::Rejection;
use crate::model::{Node, Placement};

pub(super) fn admits<'a>(_: &'a Placement, node: &'a Node) -> Result<(), Rejection<'a>> {
    if node.ready {
        Ok(())
    } else {
        Err(Rejection::NotReady)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::*;
    use super::*;

    #[test]
    fn no_toleration_makes_a_node_ready() {
        let everything = anywhere().tolerating(exists(""));
        let mut node = a_node();
        assert_eq!(admits(&everything, &node), Ok(()));
        node.ready = false;
        assert_eq!(admits(&everything, &node), Err(Rejection::NotReady));
    }
}
