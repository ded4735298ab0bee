{{/* Pod Security `restricted`, for every pod of the chart. */}}
{{- define "rowcast.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  {{- with .user }}
  runAsUser: {{ int64 . }}
  {{- end }}
  {{- with .group }}
  runAsGroup: {{ int64 . }}
  fsGroup: {{ int64 . }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "rowcast.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{/* The drain ends 20 s after SIGTERM and the process within 25; 5 to spare. */}}
{{- define "rowcast.grace" -}}
{{- add 30 (int64 .preStopSeconds) -}}
{{- end -}}

{{- define "rowcast.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* Soft but for the listener, and counted among pods of one version: old pods that are about to end do not push new ones aside, and a pod
of a drained node goes wherever there is room. Zones are not a second constraint: where nodes have no zone, the scheduler
would then weigh neither. */}}
{{- define "rowcast.spread" -}}
{{- $values := get .root.Values (include "rowcast.values" .) -}}
{{- if kindIs "slice" $values.topologySpreadConstraints }}
{{- with $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- else }}
topologySpreadConstraints:
  - topologyKey: kubernetes.io/hostname
    maxSkew: 1
    # of two listeners on one node none is left to take over; a node that takes no pods does not count, so a drain goes on
    whenUnsatisfiable: {{ eq .component "notify-listener" | ternary "DoNotSchedule" "ScheduleAnyway" }}
    nodeTaintsPolicy: Honor
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "rowcast.selector" . | nindent 8 }}
{{- end }}
{{- if not $values.affinity }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 50
        podAffinityTerm:
          topologyKey: topology.kubernetes.io/zone
          labelSelector:
            matchLabels:
              {{- include "rowcast.selector" . | nindent 14 }}
{{- end }}
{{- end -}}

{{/* A number of a values file arrives as a float: a large one would be written as 1.6e+07. */}}
{{- define "rowcast.text" -}}
{{- if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if kindIs "float64" . -}}
{{- ternary (int64 . | toString) (toString .) (eq (float64 (int64 .)) .) -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{/* The configuration of a component that is no secret, as variables. */}}
{{- define "rowcast.config" -}}
{{- $values := get .root.Values (include "rowcast.values" .) -}}
ROWCAST_LOG__FORMAT: {{ .root.Values.log.format | quote }}
ROWCAST_LOG__LEVEL: {{ .root.Values.log.level | quote }}
{{- with .root.Values.tracing.endpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . | quote }}
{{- end }}
{{- if has .component (list "ws-gateway" "notify-listener") }}
ROWCAST_REDIS__PREFIX: {{ .root.Values.redis.prefix | quote }}
{{- if and (eq .root.Values.redis.mode "external") .root.Values.redis.external.sentinel.hosts }}
ROWCAST_REDIS__SENTINELS: {{ join "," .root.Values.redis.external.sentinel.hosts | quote }}
ROWCAST_REDIS__MASTER: {{ .root.Values.redis.external.sentinel.master | quote }}
{{- end }}
{{- if include "rowcast.redis.ca" . }}
ROWCAST_REDIS__CA: /etc/rowcast/redis/ca.pem
{{- end }}
{{- end }}
{{- if include "rowcast.postgres.ca" .root }}
PGSSLMODE: verify-full
PGSSLROOTCERT: /etc/rowcast/postgres/ca.pem
{{- end }}
{{- if and (eq .component "ws-gateway") $values.page }}
ROWCAST_GATEWAY__PAGE: /usr/share/rowcast/page
{{- end }}
{{- if eq .component "notify-listener" }}
ROWCAST_LEASE__MODE: {{ $values.lease | quote }}
{{- if eq $values.lease "kubernetes" }}
ROWCAST_LEASE__NAME: {{ include "rowcast.name" . }}
{{- end }}
{{- end }}
{{- range $key, $value := $values.settings }}
ROWCAST_{{ $key | upper | replace "." "__" }}: {{ include "rowcast.text" $value | quote }}
{{- end }}
{{- end -}}

{{/* Said where a component speaks to a Redis outside whose authority is not the system's. */}}
{{- define "rowcast.redis.ca" -}}
{{- $redis := .root.Values.redis -}}
{{- if and (has .component (list "ws-gateway" "notify-listener")) (eq $redis.mode "external") -}}
{{- $redis.external.ca.secretName -}}
{{- end -}}
{{- end -}}

{{- define "rowcast.env" -}}
{{- $values := get .root.Values (include "rowcast.values" .) -}}
env:
  - name: ROWCAST_DATABASE__URL
    valueFrom:
      secretKeyRef:
        {{- include "rowcast.postgres.secret" . | nindent 8 }}
  {{- if has .component (list "ws-gateway" "notify-listener") }}
  - name: ROWCAST_REDIS__URL
    valueFrom:
      secretKeyRef:
        {{- include "rowcast.redis.secret" .root | nindent 8 }}
  {{- with .root.Values.redis.external.sentinel.passwordSecret }}
  {{- if .name }}
  - name: ROWCAST_REDIS__SENTINEL_PASSWORD
    valueFrom:
      secretKeyRef: {name: {{ .name }}, key: {{ .key }}}
  {{- end }}
  {{- end }}
  {{- end }}
  {{- if and (eq .component "notify-listener") (eq $values.lease "kubernetes") }}
  - name: ROWCAST_LEASE__NAMESPACE
    valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
  - name: ROWCAST_LEASE__POD
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: ROWCAST_LEASE__POD_UID
    valueFrom: {fieldRef: {fieldPath: metadata.uid}}
  {{- end }}
  {{- with $values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "rowcast.mounts" -}}
{{- $values := get .root.Values (include "rowcast.values" .) -}}
{{- $mounts := list -}}
{{- if include "rowcast.postgres.ca" .root -}}
{{- $mounts = append $mounts (dict "name" "postgres-ca" "mountPath" "/etc/rowcast/postgres" "readOnly" true) -}}
{{- end -}}
{{- if include "rowcast.redis.ca" . -}}
{{- $mounts = append $mounts (dict "name" "redis-ca" "mountPath" "/etc/rowcast/redis" "readOnly" true) -}}
{{- end -}}
{{- with concat $mounts $values.volumeMounts }}
volumeMounts:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "rowcast.volumes" -}}
{{- $values := get .root.Values (include "rowcast.values" .) -}}
{{- $volumes := list -}}
{{- with include "rowcast.postgres.ca" .root | fromYaml -}}
{{- $items := list (dict "key" .key "path" "ca.pem") -}}
{{- $volumes = append $volumes (dict "name" "postgres-ca" "secret" (dict "secretName" .name "items" $items)) -}}
{{- end -}}
{{- with include "rowcast.redis.ca" . -}}
{{- $items := list (dict "key" $.root.Values.redis.external.ca.key "path" "ca.pem") -}}
{{- $volumes = append $volumes (dict "name" "redis-ca" "secret" (dict "secretName" . "items" $items)) -}}
{{- end -}}
{{- with concat $volumes $values.volumes }}
volumes:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What is the same in every pod of ours. Service links would be variables ROWCAST_..., which the services would take
for their configuration. */}}
{{- define "rowcast.podBase" -}}
enableServiceLinks: false
automountServiceAccountToken: {{ .token | default false }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{ include "rowcast.podSecurity" (dict "user" .root.Values.podSecurity.runAsUser "group" .root.Values.podSecurity.runAsGroup) }}
{{- end -}}
