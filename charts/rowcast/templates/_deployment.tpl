{{/* A Deployment: `component`, `public` (has the public port), `token` (has its account's token). */}}
{{- define "rowcast.deployment" -}}
{{- $values := get .root.Values (include "rowcast.values" .) -}}
{{- $scaled := and .public (or $values.autoscaling.enabled $values.keda.enabled) -}}
apiVersion: apps/v1
kind: Deployment
{{ include "rowcast.metadata" . }}
spec:
  {{- if not $scaled }}
  replicas: {{ $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  selector:
    matchLabels:
      {{- include "rowcast.selector" . | nindent 6 }}
  strategy:
    {{- if and (eq .component "notify-listener") (eq $values.lease "off") }}
    # without a Lease there must never be a second pod
    type: Recreate
    {{- else }}
    {{- toYaml $values.strategy | nindent 4 }}
    {{- end }}
  template:
    metadata:
      labels:
        {{- include "rowcast.podLabels" (merge (dict "labels" $values.podLabels) .) | nindent 8 }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ .component }}
        {{- include "rowcast.checksums" . | nindent 8 }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- mergeOverwrite (include "rowcast.deployment.pod" . | fromYaml) (deepCopy $values.podSpec) | toYaml | nindent 6 }}
{{- end -}}

{{/* The pod's spec, without the overrides of the values. */}}
{{- define "rowcast.deployment.pod" -}}
{{- $values := get .root.Values (include "rowcast.values" .) -}}
{{ include "rowcast.podBase" . }}
serviceAccountName: {{ include "rowcast.account" . }}
terminationGracePeriodSeconds: {{ include "rowcast.grace" $values }}
{{- include "rowcast.placement" $values }}
{{- include "rowcast.spread" . }}
{{- with $values.initContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: {{ .component }}
    image: {{ include "rowcast.image" .root }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    command: [/usr/local/bin/{{ .component }}]
    envFrom:
      - configMapRef: {name: {{ include "rowcast.name" . }}}
      {{- with $values.envFrom }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- include "rowcast.env" . | nindent 4 }}
    ports:
      {{- if .public }}
      - {name: http, containerPort: 8080}
      {{- end }}
      - {name: admin, containerPort: 9090}
    {{- include "rowcast.probes" $values | nindent 4 }}
    {{- if $values.preStopSeconds }}
    lifecycle:
      preStop: {sleep: {seconds: {{ $values.preStopSeconds }}}}
    {{- end }}
    resources:
      {{- toYaml $values.resources | nindent 6 }}
    {{- include "rowcast.containerSecurity" . | nindent 4 }}
    {{- include "rowcast.mounts" . | nindent 4 }}
  {{- with $values.sidecars }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- include "rowcast.volumes" . }}
{{- end -}}

{{- define "rowcast.probes" -}}
startupProbe:
  {{- mergeOverwrite (dict "httpGet" (dict "path" "/livez" "port" "admin") "periodSeconds" 1 "failureThreshold" 60) .probes.startup | toYaml | nindent 2 }}
livenessProbe:
  {{- mergeOverwrite (dict "httpGet" (dict "path" "/livez" "port" "admin") "periodSeconds" 10 "timeoutSeconds" 5 "failureThreshold" 3) .probes.liveness | toYaml | nindent 2 }}
readinessProbe:
  {{- mergeOverwrite (dict "httpGet" (dict "path" "/readyz" "port" "admin") "periodSeconds" 2 "timeoutSeconds" 2 "failureThreshold" 2) .probes.readiness | toYaml | nindent 2 }}
{{- end -}}

{{/* A pod is replaced when the configuration that it reads at its start has changed. */}}
{{- define "rowcast.checksums" -}}
checksum/config: {{ include "rowcast.config" . | sha256sum }}
checksum/postgres: {{ include "rowcast.postgres.data" .root | sha256sum }}
{{- if has .component (list "ws-gateway" "notify-listener") }}
checksum/redis: {{ include "rowcast.redis.data" .root | sha256sum }}
{{- end }}
{{- end -}}
