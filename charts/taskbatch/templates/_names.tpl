{{- define "taskbatch.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Cut so that the longest suffix, "-leader-election", still fits in the 63 characters of a label. */}}
{{- define "taskbatch.fullname" -}}
{{- $name := include "taskbatch.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $full | trunc 47 | trimSuffix "-" -}}
{{- end -}}

{{- define "taskbatch.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "taskbatch.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* Name of the Lease. It is the same for every release of a namespace: two operators side by side must not both lead. */}}
{{- define "taskbatch.lease" -}}taskbatch{{- end -}}

{{/* The labels that select the operator pods; they can never change. */}}
{{- define "taskbatch.selectorLabels" -}}
app.kubernetes.io/name: {{ include "taskbatch.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* The labels of every object. A common label never replaces one of the chart's own. */}}
{{- define "taskbatch.labels" -}}
{{- $own := include "taskbatch.selectorLabels" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/part-of" "taskbatch" -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- toYaml (merge $own .Values.commonLabels) -}}
{{- end -}}

{{- define "taskbatch.image" -}}
{{- with .Values.image -}}
{{- with .registry }}{{ . }}/{{ end -}}
{{- .repository -}}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* The operator as the subject of a role binding. */}}
{{- define "taskbatch.subject" -}}
kind: ServiceAccount
name: {{ include "taskbatch.serviceAccountName" . | quote }}
namespace: {{ .Release.Namespace | quote }}
{{- end -}}
