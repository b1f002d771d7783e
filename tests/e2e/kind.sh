#!/bin/sh
# The way of a user on a new kind cluster: image, chart, batches whose containers compute, out of memory, rejected, and
# nothing left at the end. Needs docker, kind, helm and kubectl. KEEP=1 keeps the cluster, to look around.
set -eu

cd "$(dirname "$0")/../.."
image=taskbatch/taskbatch:$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
cluster=taskbatch
node=$cluster-control-plane
busybox=busybox:1.36
# Only what is asked of this cluster; the context of the user stays as it is.
KUBECONFIG=$(mktemp)
export KUBECONFIG

say() { echo "tests/e2e/kind.sh: $*" >&2; }
fail() {
    say "FAILED: $*"
    kubectl get taskbatches,pods --all-namespaces --output wide >&2 || true
    exit 1
}
clean() {
    [ "${KEEP:-}" = 1 ] || kind delete cluster --name "$cluster"
    rm -f "$KUBECONFIG"
}

on_node() { docker exec --interactive "$node" sh -c "$1"; }

for program in docker kind helm kubectl; do
    command -v "$program" >/dev/null 2>&1 || { say "needs $program"; exit 1; }
done
kind create cluster --name "$cluster" --wait 120s
trap clean EXIT
trap 'exit 130' INT TERM

docker build --tag "$image" .
kind load docker-image "$image" --name "$cluster"
helm install taskbatch charts/taskbatch --namespace taskbatch-system --create-namespace --wait

# batch NAME LIMIT-OF-RETRIES RESOURCES SCRIPT: one task, `work`.
batch() {
    kubectl apply --filename - <<EOF
apiVersion: taskbatch.dev/v1alpha1
kind: TaskBatch
metadata: {name: $1}
spec:
  tasks:
  - name: work
    retry: {limit: $2}
    resources: {$3}
    template:
      spec: {containers: [{name: main, image: "$busybox", command: [sh, -c, '$4']}]}
EOF
}
# field NAME FIELD: a field of the status of the task.
field() { kubectl get taskbatch "$1" --output "jsonpath={.status.tasks[0].$2}"; }
# is NAME FIELD VALUE
is() {
    found=$(field "$1" "$2")
    [ "$found" = "$3" ] || fail "$2 of $1 is '$found' and not '$3'"
}
ends() { kubectl wait "taskbatch/$1" --for "condition=$2" --timeout 180s || fail "$1 is not $2"; }

say "containers compute, and their results stand in the status"
# shellcheck disable=SC2016 # The container expands it.
batch sum 0 'cpu: {min: 100m, max: 400m}' 's=0; for i in $(seq 100); do s=$((s + i)); done; echo $s >/dev/termination-log'
ends sum Complete
is sum result 5050

say "what is killed out of memory says so"
batch killed 0 'memory: {min: 24Mi}' 'exec dd if=/dev/zero of=/dev/null bs=64M count=1'
ends killed Failed
is killed reason OutOfMemory

say "a rejection by the kubelet uses no retry"
# A static pod in a namespace that does not exist has the only device, and nobody but the kubelet knows of it.
kubectl patch node "$node" --subresource status --type json \
    --patch '[{"op": "add", "path": "/status/capacity/example.com~1device", "value": "1"}]'
on_node 'cat >/etc/kubernetes/manifests/hidden.yaml' <<EOF
apiVersion: v1
kind: Pod
metadata: {name: hidden, namespace: nowhere}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "$busybox", command: [sleep, "600"], resources: {limits: {example.com/device: 1}}}]
EOF
tries=0
until on_node 'ls -d /var/log/pods/nowhere_*' >/dev/null 2>&1 </dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || fail "the kubelet does not take the static pod"
    sleep 1
done
batch rejected 0 'example.com/device: {min: 1}' 'echo ran >/dev/termination-log'
kubectl wait taskbatch/rejected --for 'jsonpath={.status.tasks[0].reason}=NodeRejected' --timeout 60s ||
    fail "it is not rejected"
on_node 'rm /etc/kubernetes/manifests/hidden.yaml' </dev/null
ends rejected Complete
is rejected result ran

say "uninstalling leaves the CRD and the batches, and nothing else"
helm uninstall taskbatch --namespace taskbatch-system --wait
# Helm waits for its own objects, and the pod goes after them.
kubectl wait pods --all --namespace taskbatch-system --for delete --timeout 60s
left=$(kubectl get deployments,pods,services,serviceaccounts,leases,roles,rolebindings,clusterroles,clusterrolebindings,poddisruptionbudgets \
    --all-namespaces --selector app.kubernetes.io/part-of=taskbatch --output name)
[ -z "$left" ] || fail "left: $left"
kubectl delete crd taskbatches.taskbatch.dev
kubectl wait pods --all --for delete --timeout 120s
say "ok"
