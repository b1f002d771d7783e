//! Who may bind a pod: an allow-list of the fields of a pod spec.
//!
//! The kubelet checks little, so a rule that we do not know would be broken in silence. Hence only fields that are
//! listed here may be bound by ourselves, and any other, also one that a newer Kubernetes adds, sends the pod to
//! kube-scheduler. `docs/scheduling.md` has the same list for people; a test compares them.

use serde_json::Value;

/// Who binds the pods of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binder {
    /// We may: every rule of the template is honoured by our own filters.
    Direct,
    /// Only kube-scheduler may, because of this.
    Delegate(Because),
}

/// A rule that our filters lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Because {
    /// Path of the field, such as `spec.volumes[0].persistentVolumeClaim`.
    pub field: String,
    /// What about it, as the end of a sentence that begins with the field.
    pub why: &'static str,
}

impl std::fmt::Display for Because {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.field, self.why)
    }
}

const UNKNOWN: &str = "may have a rule that TaskBatch does not know";
const OTHER_PODS: &str = "depends on where other pods run";
const LATE_VOLUME: &str = "may bind late, tie the pod to a node or count against a limit of it";
const CLAIM: &str = "asks for devices that kube-scheduler allocates";
const DECLARED: &str = "needs a feature that the node must have declared";

/// Fields of a pod spec that ask nothing of a scheduler, or whose rules are honoured whatever their value. The node,
/// the scheduler and the gates are ours to set.
const POD: [&str; 31] = [
    "activeDeadlineSeconds",
    "automountServiceAccountToken",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostUsers",
    "hostname",
    "hostnameOverride",
    "imagePullSecrets",
    "nodeName",
    "nodeSelector",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "readinessGates",
    "restartPolicy",
    "runtimeClassName",
    "schedulerName",
    "schedulingGates",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "subdomain",
    "terminationGracePeriodSeconds",
];

/// Fields of a container that ask nothing of a scheduler, or whose rules the filters honour.
const CONTAINER: [&str; 22] = [
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "name",
    "ports",
    "readinessProbe",
    "resizePolicy",
    "restartPolicy",
    "securityContext",
    "startupProbe",
    "stdin",
    "stdinOnce",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeMounts",
    "workingDir",
];

/// Sources of volumes that bind to no node and count against no limit of one.
const VOLUMES: [&str; 8] = [
    "configMap",
    "downwardAPI",
    "emptyDir",
    "hostPath",
    "image",
    "nfs",
    "projected",
    "secret",
];

/// Rules of affinity that must hold.
pub(super) const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
/// Rules of affinity that are only wished for.
pub(super) const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
/// Names of resources that stand for a device class, whether or not nodes list them.
const DEVICE_CLASS: &str = "deviceclass.resource.kubernetes.io/";

/// Who may bind pods of this spec; `at` is its path. Names the first rule that is lacking.
pub fn binder(spec: &Value, at: &str) -> Binder {
    match lacking(spec, at) {
        Ok(()) => Binder::Direct,
        Err(because) => Binder::Delegate(because),
    }
}

/// `Err` at the first thing that is not on the list.
type Judged = Result<(), Because>;

fn because(field: impl Into<String>, why: &'static str) -> Judged {
    Err(Because {
        field: field.into(),
        why,
    })
}

fn lacking(spec: &Value, at: &str) -> Judged {
    let Some(fields) = spec.as_object() else {
        return because(at, "is no object");
    };
    for (name, value) in fields.iter().filter(|(_, value)| !is_empty(value)) {
        let field = format!("{at}.{name}");
        match name.as_str() {
            "resourceClaims" => return because(field, CLAIM),
            "topologySpreadConstraints" => spread(value, &field)?,
            "affinity" => affinity(value, &field)?,
            "tolerations" => tolerations(value, &field)?,
            "volumes" => volumes(value, &field)?,
            "containers" | "initContainers" => containers(value, &field)?,
            "resources" => resources(value, &field)?,
            "hostUsers" if *value == false && spec["hostNetwork"] == true => {
                return because(field, DECLARED);
            }
            _ => known(name, &POD, &field)?,
        }
    }
    Ok(())
}

/// Whether the field says as little as if it were absent.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(entries) => entries.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn known(name: &str, list: &[&str], field: &str) -> Judged {
    if list.contains(&name) {
        Ok(())
    } else {
        because(field, UNKNOWN)
    }
}

fn fields(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let all = object.as_object().into_iter().flatten();
    all.filter(|(_, value)| !is_empty(value))
}

fn entries<'a>(list: &'a Value, at: &'a str) -> impl Iterator<Item = (String, &'a Value)> {
    let all = list.as_array().into_iter().flatten().enumerate();
    all.map(move |(index, entry)| (format!("{at}[{index}]"), entry))
}

/// Spread that is only wished for (`ScheduleAnyway`) is no hard rule.
fn spread(constraints: &Value, at: &str) -> Judged {
    for (field, constraint) in entries(constraints, at) {
        if constraint["whenUnsatisfiable"] != "ScheduleAnyway" {
            return because(field, OTHER_PODS);
        }
    }
    Ok(())
}

fn affinity(affinity: &Value, at: &str) -> Judged {
    for (kind, rules) in fields(affinity) {
        for (strength, terms) in fields(rules) {
            let field = format!("{at}.{kind}.{strength}");
            match (kind.as_str(), strength.as_str()) {
                ("nodeAffinity", REQUIRED) => node_terms(&terms["nodeSelectorTerms"], &field)?,
                ("podAffinity" | "podAntiAffinity", REQUIRED) => {
                    return because(field, OTHER_PODS);
                }
                ("nodeAffinity" | "podAffinity" | "podAntiAffinity", PREFERRED) => {}
                _ => return because(field, UNKNOWN),
            }
        }
    }
    Ok(())
}

fn node_terms(terms: &Value, at: &str) -> Judged {
    for (field, term) in entries(terms, &format!("{at}.nodeSelectorTerms")) {
        for (name, expressions) in fields(term) {
            let field = format!("{field}.{name}");
            known(name, &["matchExpressions", "matchFields"], &field)?;
            for (field, expression) in entries(expressions, &field) {
                let operators = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];
                operator(expression, &operators, &field)?;
            }
        }
    }
    Ok(())
}

fn tolerations(tolerations: &Value, at: &str) -> Judged {
    for (field, toleration) in entries(tolerations, at) {
        operator(toleration, &["", "Equal", "Exists"], &field)?;
    }
    Ok(())
}

fn operator(rule: &Value, list: &[&str], at: &str) -> Judged {
    let operator = rule["operator"].as_str().unwrap_or_default();
    known(operator, list, &format!("{at}.operator"))
}

fn volumes(volumes: &Value, at: &str) -> Judged {
    for (field, volume) in entries(volumes, at) {
        let sources = volume.as_object().into_iter().flatten();
        for (source, _) in sources.filter(|(source, value)| *source != "name" && !value.is_null()) {
            if !VOLUMES.contains(&source.as_str()) {
                return because(format!("{field}.{source}"), LATE_VOLUME);
            }
        }
    }
    Ok(())
}

fn containers(containers: &Value, at: &str) -> Judged {
    for (field, container) in entries(containers, at) {
        for (name, value) in fields(container) {
            let field = format!("{field}.{name}");
            match name.as_str() {
                "resources" => resources(value, &field)?,
                "restartPolicyRules" => return because(field, DECLARED),
                _ => known(name, &CONTAINER, &field)?,
            }
        }
    }
    Ok(())
}

fn resources(resources: &Value, at: &str) -> Judged {
    for (name, value) in fields(resources) {
        let field = format!("{at}.{name}");
        if name == "claims" {
            return because(field, CLAIM);
        }
        known(name, &["limits", "requests"], &field)?;
        for (resource, _) in fields(value) {
            if resource.starts_with(DEVICE_CLASS) {
                return because(format!("{field}[{resource}]"), CLAIM);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(spec: Value) -> Option<String> {
        match binder(&spec, "spec") {
            Binder::Direct => None,
            Binder::Delegate(because) => Some(because.field),
        }
    }

    #[test]
    fn an_ordinary_template_is_bound_directly() {
        let soft = json!({"whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 1});
        for spec in [
            json!({}),
            json!({"containers": [{
                "name": "main",
                "ports": [{"containerPort": 80, "hostPort": 80}],
                "resources": {"requests": {"cpu": 1, "nvidia.com/gpu": "1"}, "claims": []},
            }]}),
            json!({"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "configMap": {"name": "c"}}]}),
            json!({"affinity": {"podAffinity": {PREFERRED: [{}]}}}),
            json!({"affinity": {"podAntiAffinity": {REQUIRED: []}}}),
            json!({"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{
                "matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}],
                "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}],
            }]}}}}),
            json!({"tolerations": [{}, {"operator": "Exists"}, {"key": "a", "operator": "Equal"}]}),
            json!({"topologySpreadConstraints": [soft], "resourceClaims": []}),
            json!({"hostNetwork": true, "hostUsers": true, "nodeSelector": {"a": "b"}}),
            json!({"hostUsers": false, "nodeName": null, "fieldOfTomorrow": null}),
        ] {
            assert_eq!(field(spec.clone()), None, "{spec}");
        }
    }

    #[test]
    fn each_rule_that_is_lacking_is_named() {
        let container = |fields: Value| json!({"containers": [{"name": "a"}, fields]});
        for (spec, expected) in [
            (
                json!({"volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "c"}}]}),
                "spec.volumes[0].persistentVolumeClaim",
            ),
            (
                json!({"volumes": [{"name": "a", "ephemeral": {}}]}),
                "spec.volumes[0].ephemeral",
            ),
            (
                json!({"volumes": [{"name": "a", "csi": {"driver": "d"}}]}),
                "spec.volumes[0].csi",
            ),
            (
                json!({"resourceClaims": [{"name": "gpu"}]}),
                "spec.resourceClaims",
            ),
            (
                json!({"topologySpreadConstraints": [{"whenUnsatisfiable": "DoNotSchedule"}]}),
                "spec.topologySpreadConstraints[0]",
            ),
            (
                json!({"topologySpreadConstraints": [{}]}),
                "spec.topologySpreadConstraints[0]",
            ),
            (
                json!({"affinity": {"podAntiAffinity": {REQUIRED: [{}]}}}),
                "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution",
            ),
            (
                json!({"affinity": {"podAffinity": {REQUIRED: [{}]}}}),
                "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution",
            ),
            (
                json!({"affinity": {"nodeAffinity": {"requiredTomorrow": [{}]}}}),
                "spec.affinity.nodeAffinity.requiredTomorrow",
            ),
            (
                json!({"affinity": {"rackAffinity": {"required": 1}}}),
                "spec.affinity.rackAffinity.required",
            ),
            (
                json!({"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Like"}]}]}}}}),
                "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator",
            ),
            (
                json!({"tolerations": [{"key": "a", "operator": "Gt", "value": "5"}]}),
                "spec.tolerations[0].operator",
            ),
            (
                json!({"schedulingGroup": {"podGroupName": "g"}}),
                "spec.schedulingGroup",
            ),
            (json!({"os": {"name": "linux"}}), "spec.os"),
            (
                json!({"hostNetwork": true, "hostUsers": false}),
                "spec.hostUsers",
            ),
            (
                json!({"resources": {"claims": [{"name": "a"}]}}),
                "spec.resources.claims",
            ),
            (
                container(json!({"resources": {"claims": [{"name": "gpu"}]}})),
                "spec.containers[1].resources.claims",
            ),
            (
                container(
                    json!({"resources": {"limits": {"deviceclass.resource.kubernetes.io/g": 1}}}),
                ),
                "spec.containers[1].resources.limits[deviceclass.resource.kubernetes.io/g]",
            ),
            (
                container(json!({"restartPolicyRules": [{}]})),
                "spec.containers[1].restartPolicyRules",
            ),
            (
                container(json!({"fieldOfTomorrow": 0})),
                "spec.containers[1].fieldOfTomorrow",
            ),
            (json!({"fieldOfTomorrow": 1}), "spec.fieldOfTomorrow"),
            (json!([]), "spec"),
        ] {
            assert_eq!(field(spec), Some(expected.into()));
        }
    }
}
