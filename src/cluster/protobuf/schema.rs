//! The fields of the objects that are read, by their numbers in the `generated.proto` files of Kubernetes 1.36.
//!
//! Each message lists all the fields that matter to the allow-list of [`super::super::binding`] or are read. A message
//! of which only the presence matters is [`ANY`].

use super::super::binding::{PREFERRED, REQUIRED};

/// A field: its number, its name in JSON, and what it holds.
pub(super) struct Field(pub u32, pub &'static str, pub Kind);

/// The fields of a message.
pub(super) type Message = [Field];

/// What a field holds, and which JSON stands for it.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Number,
    Truth,
    /// `metav1.Time`, to the second.
    Time,
    /// `resource.Quantity`, in its text.
    Quantity,
    One(&'static Message),
    /// A message whose fields stand in JSON among those of the message around it.
    Inline(&'static Message),
    /// A list.
    Many(&'static Kind),
    /// A map from texts.
    Map(&'static Kind),
    /// Left out.
    Nothing,
}

use Kind::{Inline, Many, Map, Nothing, Number, One, Quantity, Text, Time, Truth};

const TEXTS: Kind = Many(&Text);
const TEXT_MAP: Kind = Map(&Text);
const QUANTITIES: Kind = Map(&Quantity);
const ANY: &Message = &[];
const SOME: Kind = One(ANY);
const SOME_LIST: Kind = Many(&SOME);

/// An object of which only the metadata are read.
pub(super) const OBJECT: &Message = &[Field(1, "metadata", One(META))];

pub(super) const LIST: &Message = &[Field(
    1,
    "metadata",
    One(&[
        Field(2, "resourceVersion", Text),
        Field(3, "continue", Text),
    ]),
)];

pub(super) const STATUS: &Message = &[
    Field(1, "metadata", SOME),
    Field(2, "status", Text),
    Field(3, "message", Text),
    Field(4, "reason", Text),
    Field(5, "details", Nothing),
    Field(6, "code", Number),
];

pub(super) const POD: &Message = &[
    Field(1, "metadata", One(META)),
    Field(2, "spec", One(SPEC)),
    Field(3, "status", One(POD_STATUS)),
];

const META: &Message = &[
    Field(1, "name", Text),
    Field(3, "namespace", Text),
    Field(5, "uid", Text),
    Field(6, "resourceVersion", Text),
    Field(8, "creationTimestamp", Time),
    Field(9, "deletionTimestamp", Time),
    Field(11, "labels", TEXT_MAP),
    Field(12, "annotations", TEXT_MAP),
    Field(13, "ownerReferences", Many(&One(OWNER))),
    Field(17, "managedFields", Nothing),
];

const OWNER: &Message = &[
    Field(1, "kind", Text),
    Field(3, "name", Text),
    Field(4, "uid", Text),
    Field(5, "apiVersion", Text),
    Field(6, "controller", Truth),
];

const SPEC: &Message = &[
    Field(1, "volumes", Many(&One(VOLUME))),
    Field(2, "containers", Many(&One(CONTAINER))),
    Field(3, "restartPolicy", Text),
    Field(4, "terminationGracePeriodSeconds", Number),
    Field(5, "activeDeadlineSeconds", Number),
    Field(6, "dnsPolicy", Text),
    Field(7, "nodeSelector", TEXT_MAP),
    Field(8, "serviceAccountName", Text),
    Field(9, "serviceAccount", Text),
    Field(10, "nodeName", Text),
    Field(11, "hostNetwork", Truth),
    Field(12, "hostPID", Truth),
    Field(13, "hostIPC", Truth),
    Field(14, "securityContext", SOME),
    Field(15, "imagePullSecrets", SOME_LIST),
    Field(16, "hostname", Text),
    Field(17, "subdomain", Text),
    Field(18, "affinity", One(AFFINITY)),
    Field(19, "schedulerName", Text),
    Field(20, "initContainers", Many(&One(CONTAINER))),
    Field(21, "automountServiceAccountToken", Truth),
    Field(22, "tolerations", Many(&One(TOLERATION))),
    Field(23, "hostAliases", SOME_LIST),
    Field(24, "priorityClassName", Text),
    Field(25, "priority", Number),
    Field(26, "dnsConfig", SOME),
    Field(27, "shareProcessNamespace", Truth),
    Field(28, "readinessGates", SOME_LIST),
    Field(29, "runtimeClassName", Text),
    Field(30, "enableServiceLinks", Truth),
    Field(31, "preemptionPolicy", Text),
    Field(32, "overhead", QUANTITIES),
    Field(33, "topologySpreadConstraints", Many(&One(SPREAD))),
    Field(34, "ephemeralContainers", SOME_LIST),
    Field(35, "setHostnameAsFQDN", Truth),
    Field(36, "os", SOME),
    Field(37, "hostUsers", Truth),
    Field(38, "schedulingGates", Many(&One(NAMED))),
    Field(39, "resourceClaims", SOME_LIST),
    Field(40, "resources", One(RESOURCES)),
    Field(41, "hostnameOverride", Text),
    Field(43, "schedulingGroup", SOME),
];

const NAMED: &Message = &[Field(1, "name", Text)];

const CONTAINER: &Message = &[
    Field(1, "name", Text),
    Field(2, "image", Text),
    Field(3, "command", TEXTS),
    Field(4, "args", TEXTS),
    Field(5, "workingDir", Text),
    Field(6, "ports", Many(&One(PORT))),
    Field(7, "env", SOME_LIST),
    Field(8, "resources", One(RESOURCES)),
    Field(9, "volumeMounts", SOME_LIST),
    Field(10, "livenessProbe", SOME),
    Field(11, "readinessProbe", SOME),
    Field(12, "lifecycle", SOME),
    Field(13, "terminationMessagePath", Text),
    Field(14, "imagePullPolicy", Text),
    Field(15, "securityContext", SOME),
    Field(16, "stdin", Truth),
    Field(17, "stdinOnce", Truth),
    Field(18, "tty", Truth),
    Field(19, "envFrom", SOME_LIST),
    Field(20, "terminationMessagePolicy", Text),
    Field(21, "volumeDevices", SOME_LIST),
    Field(22, "startupProbe", SOME),
    Field(23, "resizePolicy", SOME_LIST),
    Field(24, "restartPolicy", Text),
    Field(25, "restartPolicyRules", SOME_LIST),
];

const PORT: &Message = &[
    Field(1, "name", Text),
    Field(2, "hostPort", Number),
    Field(3, "containerPort", Number),
    Field(4, "protocol", Text),
    Field(5, "hostIP", Text),
];

const RESOURCES: &Message = &[
    Field(1, "limits", QUANTITIES),
    Field(2, "requests", QUANTITIES),
    Field(3, "claims", SOME_LIST),
];

const TOLERATION: &Message = &[
    Field(1, "key", Text),
    Field(2, "operator", Text),
    Field(3, "value", Text),
    Field(4, "effect", Text),
    Field(5, "tolerationSeconds", Number),
];

const SPREAD: &Message = &[Field(3, "whenUnsatisfiable", Text)];

const AFFINITY: &Message = &[
    Field(1, "nodeAffinity", One(NODE_AFFINITY)),
    Field(2, "podAffinity", One(POD_AFFINITY)),
    Field(3, "podAntiAffinity", One(POD_AFFINITY)),
];

const NODE_AFFINITY: &Message = &[
    Field(1, REQUIRED, One(NODE_SELECTOR)),
    Field(2, PREFERRED, SOME_LIST),
];

const NODE_SELECTOR: &Message = &[Field(1, "nodeSelectorTerms", Many(&One(NODE_TERM)))];

const NODE_TERM: &Message = &[
    Field(1, "matchExpressions", RULES),
    Field(2, "matchFields", RULES),
];

const RULES: Kind = Many(&One(&[
    Field(1, "key", Text),
    Field(2, "operator", Text),
    Field(3, "values", TEXTS),
]));

const POD_AFFINITY: &Message = &[
    Field(1, REQUIRED, Many(&One(POD_TERM))),
    Field(2, PREFERRED, SOME_LIST),
];

const POD_TERM: &Message = &[
    Field(1, "labelSelector", One(LABEL_SELECTOR)),
    Field(2, "namespaces", TEXTS),
    Field(3, "topologyKey", Text),
    Field(4, "namespaceSelector", One(LABEL_SELECTOR)),
];

const LABEL_SELECTOR: &Message = &[
    Field(1, "matchLabels", TEXT_MAP),
    Field(2, "matchExpressions", RULES),
];

const VOLUME: &Message = &[
    Field(1, "name", Text),
    Field(2, "volumeSource", Inline(VOLUME_SOURCE)),
];

const VOLUME_SOURCE: &Message = &[
    Field(1, "hostPath", SOME),
    Field(2, "emptyDir", SOME),
    Field(3, "gcePersistentDisk", SOME),
    Field(4, "awsElasticBlockStore", SOME),
    Field(5, "gitRepo", SOME),
    Field(6, "secret", SOME),
    Field(7, "nfs", SOME),
    Field(8, "iscsi", SOME),
    Field(9, "glusterfs", SOME),
    Field(10, "persistentVolumeClaim", SOME),
    Field(11, "rbd", SOME),
    Field(12, "flexVolume", SOME),
    Field(13, "cinder", SOME),
    Field(14, "cephfs", SOME),
    Field(15, "flocker", SOME),
    Field(16, "downwardAPI", SOME),
    Field(17, "fc", SOME),
    Field(18, "azureFile", SOME),
    Field(19, "configMap", SOME),
    Field(20, "vsphereVolume", SOME),
    Field(21, "quobyte", SOME),
    Field(22, "azureDisk", SOME),
    Field(23, "photonPersistentDisk", SOME),
    Field(24, "portworxVolume", SOME),
    Field(25, "scaleIO", SOME),
    Field(26, "projected", SOME),
    Field(27, "storageos", SOME),
    Field(28, "csi", SOME),
    Field(29, "ephemeral", SOME),
    Field(30, "image", SOME),
];

const POD_STATUS: &Message = &[
    Field(1, "phase", Text),
    Field(2, "conditions", Many(&One(CONDITION))),
    Field(3, "message", Text),
    Field(4, "reason", Text),
    Field(7, "startTime", Time),
    Field(8, "containerStatuses", Many(&One(CONTAINER_STATUS))),
    Field(10, "initContainerStatuses", Many(&One(CONTAINER_STATUS))),
    Field(11, "nominatedNodeName", Text),
    Field(19, "allocatedResources", QUANTITIES),
    Field(20, "resources", One(RESOURCES)),
];

const CONDITION: &Message = &[
    Field(1, "type", Text),
    Field(2, "status", Text),
    Field(4, "lastTransitionTime", Time),
    Field(5, "reason", Text),
    Field(6, "message", Text),
];

const CONTAINER_STATUS: &Message = &[
    Field(1, "name", Text),
    Field(2, "state", One(STATE)),
    Field(10, "allocatedResources", QUANTITIES),
    Field(11, "resources", One(RESOURCES)),
];

const STATE: &Message = &[
    Field(2, "running", One(&[Field(1, "startedAt", Time)])),
    Field(3, "terminated", One(TERMINATED)),
];

const TERMINATED: &Message = &[
    Field(1, "exitCode", Number),
    Field(3, "reason", Text),
    Field(4, "message", Text),
    Field(5, "startedAt", Time),
    Field(6, "finishedAt", Time),
];
