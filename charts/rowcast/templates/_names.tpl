{{/* Short enough that the longest suffix leaves a name of 63 characters. */}}
{{- define "rowcast.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The names of a component (`ws-gateway`) and of its values (`gateway`) differ. */}}
{{- define "rowcast.values" -}}
{{- get (dict "ingest" "ingest" "ws-gateway" "gateway" "notify-listener" "listener" "migrate" "migrate") .component -}}
{{- end -}}

{{- define "rowcast.name" -}}
{{- printf "%s-%s" (include "rowcast.fullname" .root) .component -}}
{{- end -}}

{{/* The selector of a Deployment, which cannot be changed later. */}}
{{- define "rowcast.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* The labels of a pod: no version of chart or image, so that an upgrade of the chart alone replaces no pod. */}}
{{- define "rowcast.podLabels" -}}
{{- $labels := include "rowcast.selector" . | fromYaml -}}
{{- $_ := set $labels "app.kubernetes.io/part-of" "rowcast" -}}
{{- merge $labels (.labels | default dict) .root.Values.commonLabels | toYaml -}}
{{- end -}}

{{/* Further labels, including those of all objects, never replace the chart's own. */}}
{{- define "rowcast.labels" -}}
{{- $labels := include "rowcast.selector" . | fromYaml -}}
{{- $_ := set $labels "app.kubernetes.io/version" (.root.Values.image.tag | default .root.Chart.AppVersion | trunc 63 | trimSuffix "-") -}}
{{- $_ := set $labels "app.kubernetes.io/part-of" "rowcast" -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- merge $labels (.labels | default dict) .root.Values.commonLabels | toYaml -}}
{{- end -}}

{{/* The metadata of an object; `annotations` and `labels` are added, `name` replaces the default. */}}
{{- define "rowcast.metadata" -}}
metadata:
  name: {{ .name | default (include "rowcast.name" .) }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "rowcast.labels" . | nindent 4 }}
  {{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "rowcast.image" -}}
{{- $image := .Values.image -}}
{{- $name := $image.repository -}}
{{- if $image.registry -}}
{{- $name = printf "%s/%s" ($image.registry | trimSuffix "/") ($image.repository | trimPrefix "localhost/") -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name ($image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "rowcast.account" -}}
{{- $account := (get .root.Values (include "rowcast.values" .)).serviceAccount -}}
{{- if $account.create -}}
{{- $account.name | default (include "rowcast.name" .) -}}
{{- else -}}
{{- $account.name -}}
{{- end -}}
{{- end -}}
