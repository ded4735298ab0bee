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
    {{- toYaml $values.strategy | nindent 4 }}
  template:
    metadata:
      labels:
        {{- include "rowcast.labels" (merge (dict "labels" $values.podLabels) .) | nindent 8 }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ .component }}
        {{- include "rowcast.checksums" . | nindent 8 }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "rowcast.podBase" . | nindent 6 }}
      serviceAccountName: {{ include "rowcast.account" . }}
      terminationGracePeriodSeconds: {{ include "rowcast.grace" $values }}
      {{- include "rowcast.placement" $values | nindent 6 }}
      {{- include "rowcast.spread" . | nindent 6 }}
      containers:
        - name: {{ .component }}
          image: {{ include "rowcast.image" .root }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          command: [/usr/local/bin/{{ .component }}]
          envFrom:
            - configMapRef: {name: {{ include "rowcast.name" . }}}
            {{- with $values.envFrom }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          {{- include "rowcast.env" . | nindent 10 }}
          ports:
            {{- if .public }}
            - {name: http, containerPort: 8080}
            {{- end }}
            - {name: admin, containerPort: 9090}
          startupProbe:
            httpGet: {path: /livez, port: admin}
            periodSeconds: 1
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /livez, port: admin}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          readinessProbe:
            httpGet: {path: /readyz, port: admin}
            periodSeconds: 2
            timeoutSeconds: 2
            failureThreshold: 2
          {{- if $values.preStopSeconds }}
          lifecycle:
            preStop: {sleep: {seconds: {{ $values.preStopSeconds }}}}
          {{- end }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          {{- include "rowcast.containerSecurity" . | nindent 10 }}
          {{- include "rowcast.mounts" . | nindent 10 }}
      {{- include "rowcast.volumes" . | nindent 6 }}
{{- end -}}

{{/* A pod is replaced when what it reads at its start has changed. */}}
{{- define "rowcast.checksums" -}}
checksum/config: {{ include "rowcast.config" . | sha256sum }}
checksum/postgres: {{ include "rowcast.postgres.data" .root | sha256sum }}
{{- if has .component (list "ws-gateway" "notify-listener") }}
checksum/redis: {{ include "rowcast.redis.data" .root | sha256sum }}
{{- end }}
{{- end -}}
