//! What the API server made of a pod that we bind ourselves. Admission may have given it rules or requests that the
//! template does not show: a RuntimeClass, a LimitRange, a sidecar that is put into every pod. Rules that we do not
//! know at all are another matter, see `delegate`.

use crate::cluster::pod::{OwnPod, Pod};
use crate::constraint;
use crate::model::{Node, Task};

/// Why the pod must not be bound to the node that the plan chose, if admission is to blame: then the same plan would
/// come to the same end at once. `fits`: there is room for it.
pub fn surprise(task: &Task, pod: &Pod, own: &OwnPod, node: &Node, fits: bool) -> Option<String> {
    let rejected = own
        .placement
        .as_ref()
        .map(|it| constraint::admits(it, node));
    match rejected {
        Some(Err(rejection)) if constraint::admits(&task.placement, node).is_ok() => Some(format!(
            "admission gave the pod other rules than its template has: {rejection}"
        )),
        _ if !fits && has_grown(task, pod, own) => {
            Some("admission gave the pod larger requests than its template has".to_owned())
        }
        _ => None,
    }
}

/// Whether the pod requests more than its template and the size that was planned make.
fn has_grown(task: &Task, pod: &Pod, own: &OwnPod) -> bool {
    let sized = own
        .containers
        .iter()
        .find(|(name, _)| *name == task.container);
    let planned = sized.and_then(|(_, requests)| task.shape.effective(requests).ok());
    planned.is_some_and(|planned| {
        let mut requests = pod.requests.iter();
        requests.any(|(name, amount)| amount > planned.get(name))
    })
}
