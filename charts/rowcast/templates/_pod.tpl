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

{{/* The drain ends 20 s after SIGTERM and the process within 25 s; 5 s are in reserve. */}}
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

{{/* Soft, and counted among pods of one version: old pods that are about to end do not influence new ones, and a pod
of a drained node goes wherever there is room. Zones are not a second constraint: where nodes have no zone, the scheduler
would then ignore both. */}}
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
    whenUnsatisfiable: ScheduleAnyway
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
      {{- if eq .component "notify-listener" }}
      # if both listeners were on one node, none would be left to take over
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "rowcast.selector" . | nindent 14 }}
      {{- end }}
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

{{/* The configuration of a component that is not secret, as variables. */}}
{{- define "rowcast.config" -}}
{{- $values := get .root.Values (include "rowcast.values" .) -}}
{{- $own := dict -}}
{{- $_ := include "rowcast.settings" (dict "above" "" "settings" $values.settings "to" $own) -}}
{{- if eq .component "ingest" -}}
{{- $_ := include "rowcast.settings" (dict "above" "hooks." "settings" $values.hooks "to" $own) -}}
{{- end -}}
{{- mergeOverwrite (include "rowcast.config.chart" . | fromYaml) $own | toYaml -}}
{{- end -}}

{{/* What the chart sets itself. */}}
{{- define "rowcast.config.chart" -}}
{{- $values := get .root.Values (include "rowcast.values" .) -}}
ROWCAST_LOG__FORMAT: {{ .root.Values.log.format | quote }}
{{- if eq .component "migrate" }}
ROWCAST_LOG__LEVEL: {{ .root.Values.log.level | quote }}
{{- else }}
ROWCAST_LOG__LEVEL_FILE: /etc/rowcast/log/level
{{- end }}
{{- with .root.Values.tracing }}
{{- if .endpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ .endpoint | quote }}
OTEL_EXPORTER_OTLP_PROTOCOL: {{ .protocol | quote }}
OTEL_TRACES_SAMPLER: parentbased_traceidratio
OTEL_TRACES_SAMPLER_ARG: {{ include "rowcast.text" .ratio | quote }}
{{- if .ca.secretName }}
OTEL_EXPORTER_OTLP_CERTIFICATE: /etc/rowcast/tracing/ca.pem
{{- end }}
{{- end }}
{{- end }}
{{- /* all addresses of both families; a kernel without IPv6 has those of IPv4 */}}
{{- if ne .component "migrate" }}
ROWCAST_ADMIN__ADDR: "[::]:9090"
{{- end }}
{{- if has .component (list "ws-gateway" "ingest") }}
ROWCAST_HTTP__ADDR: "[::]:8080"
{{- with .root.Values.auth }}
{{- if .enabled }}
ROWCAST_AUTH__ENABLED: "true"
{{- with .anonymousRead }}
ROWCAST_AUTH__ANONYMOUS_READ: {{ join "," . | quote }}
{{- end }}
{{- with .anonymousWrite }}
ROWCAST_AUTH__ANONYMOUS_WRITE: {{ join "," . | quote }}
{{- end }}
{{- if .issuers.secretName }}
ROWCAST_AUTH__ISSUERS_FILE: /etc/rowcast/issuers/issuers.toml
{{- end }}
{{- end }}
{{- end }}
{{- with $values.http }}
{{- with .trustedProxies }}
ROWCAST_HTTP__TRUSTED_PROXIES: {{ join "," . | quote }}
{{- end }}
{{- if .proxyProtocol }}
ROWCAST_HTTP__PROXY_PROTOCOL: "true"
{{- end }}
{{- if .tls.secretName }}
ROWCAST_HTTP__TLS__CERTIFICATE: /etc/rowcast/http/tls.crt
ROWCAST_HTTP__TLS__KEY: /etc/rowcast/http/tls.key
{{- if .tls.clientCa.secretName }}
ROWCAST_HTTP__TLS__CLIENT_CA: /etc/rowcast/http-clients/ca.pem
{{- end }}
{{- end }}
{{- end }}
{{- with .root.Values.ingress.prefix }}
ROWCAST_HTTP__PREFIX: {{ . | quote }}
{{- end }}
{{- end }}
{{- if has .component (list "ws-gateway" "notify-listener") }}
ROWCAST_REDIS__PREFIX: {{ .root.Values.redis.prefix | quote }}
{{- if and (eq .root.Values.redis.mode "external") .root.Values.redis.external.sentinel.hosts }}
ROWCAST_REDIS__SENTINELS: {{ join "," .root.Values.redis.external.sentinel.hosts | quote }}
ROWCAST_REDIS__MASTER: {{ .root.Values.redis.external.sentinel.master | quote }}
{{- with .root.Values.redis.external.sentinel.user }}
ROWCAST_REDIS__SENTINEL_USER: {{ . | quote }}
{{- end }}
{{- end }}
{{- if and (eq .root.Values.redis.mode "external") .root.Values.redis.external.clientCertificate.secretName }}
ROWCAST_REDIS__CERTIFICATE: /etc/rowcast/redis-client/tls.crt
ROWCAST_REDIS__KEY: /etc/rowcast/redis-client/tls.key
{{- end }}
{{- if include "rowcast.redis.ca" . }}
ROWCAST_REDIS__CA: /etc/rowcast/redis/ca.pem
{{- end }}
{{- end }}
{{- include "rowcast.postgres.config" . }}
{{- if and (eq .component "ws-gateway") $values.page }}
ROWCAST_GATEWAY__PAGE: /usr/share/rowcast/page
{{- end }}
{{- /* without an Ingress no address reaches both services: the page's example uses the forwarded ports of the notes */}}
{{- if and (eq .component "ws-gateway") (not .root.Values.ingress.enabled) (not .root.Values.httpRoute.enabled) }}
ROWCAST_GATEWAY__INGEST_URL: {{ include "rowcast.scheme" (dict "root" .root "component" "ingest") }}://localhost:8081
{{- end }}
{{- if eq .component "notify-listener" }}
ROWCAST_LEASE__MODE: {{ $values.lease | quote }}
{{- if eq $values.lease "kubernetes" }}
ROWCAST_LEASE__NAME: {{ include "rowcast.name" . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Settings, dotted or nested, as variables in `to`; those that are set twice in `twice`, if it is given. */}}
{{- define "rowcast.settings" -}}
{{- range $key, $value := .settings -}}
{{- $name := printf "%s%s" $.above $key -}}
{{- if kindIs "map" $value -}}
{{- $below := dict "above" (printf "%s." $name) "settings" $value "to" $.to -}}
{{- if hasKey $ "twice" -}}
{{- $_ := set $below "twice" $.twice -}}
{{- end -}}
{{- $_ := include "rowcast.settings" $below -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $variable := printf "ROWCAST_%s" ($name | upper | replace "." "__") -}}
{{- if and (hasKey $.to $variable) (hasKey $ "twice") -}}
{{- $_ := set $.twice $name true -}}
{{- end -}}
{{- $_ := set $.to $variable (include "rowcast.text" $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Set if a component connects to an external Redis with a private CA. */}}
{{- define "rowcast.redis.ca" -}}
{{- $redis := .root.Values.redis -}}
{{- if and (has .component (list "ws-gateway" "notify-listener")) (eq $redis.mode "external") -}}
{{- $redis.external.ca.secretName -}}
{{- end -}}
{{- end -}}

{{- define "rowcast.env" -}}
{{- $values := get .root.Values (include "rowcast.values" .) -}}
env:
  {{- include "rowcast.postgres.env" . | nindent 2 }}
  {{- if has .component (list "ws-gateway" "notify-listener") }}
  - name: ROWCAST_REDIS__URL
    valueFrom:
      secretKeyRef:
        {{- include "rowcast.redis.secret" .root | nindent 8 }}
  {{- with .root.Values.redis.external.credentialsSecret }}
  {{- if .name }}
  {{- if .userKey }}
  - name: ROWCAST_REDIS__USER
    valueFrom:
      secretKeyRef: {name: {{ .name }}, key: {{ .userKey }}}
  {{- end }}
  - name: ROWCAST_REDIS__PASSWORD
    valueFrom:
      secretKeyRef: {name: {{ .name }}, key: {{ .passwordKey }}}
  {{- end }}
  {{- end }}
  {{- with .root.Values.redis.external.sentinel.passwordSecret }}
  {{- if .name }}
  - name: ROWCAST_REDIS__SENTINEL_PASSWORD
    valueFrom:
      secretKeyRef: {name: {{ .name }}, key: {{ .key }}}
  {{- end }}
  {{- end }}
  {{- end }}
  {{- with .root.Values.tracing }}
  {{- if and .endpoint .headersSecret.name }}
  - name: OTEL_EXPORTER_OTLP_HEADERS
    valueFrom:
      secretKeyRef: {name: {{ .headersSecret.name }}, key: {{ .headersSecret.key }}}
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

{{/* Secrets that a component reads as files: name, folder, Secret, and which key is which file. */}}
{{- define "rowcast.files" -}}
{{- if eq .component "keys" }}
{{- with .root.Values.auth.keys }}
- {name: keys, folder: keys, secret: {{ .secretName }}, items: [{key: {{ .key }}, path: keys.jsonl}]}
{{- end }}
{{- end }}
{{- if has .component (list "ws-gateway" "ingest") }}
{{- with .root.Values.auth }}
{{- if and .enabled .issuers.secretName }}
- {name: issuers, folder: issuers, secret: {{ .issuers.secretName }}, items: [{key: {{ .issuers.key }}, path: issuers.toml}]}
{{- end }}
{{- end }}
{{- with (get .root.Values (include "rowcast.values" .)).http.tls }}
{{- if .secretName }}
- {name: http-tls, folder: http, secret: {{ .secretName }}, items: [{key: {{ .certificateKey }}, path: tls.crt}, {key: {{ .keyKey }}, path: tls.key}]}
{{- with .clientCa }}
{{- if .secretName }}
- {name: http-client-ca, folder: http-clients, secret: {{ .secretName }}, items: [{key: {{ .key }}, path: ca.pem}]}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- with include "rowcast.postgres.ca" .root | fromYaml }}
- {name: postgres-ca, folder: postgres, secret: {{ .name }}, items: [{key: {{ .key }}, path: ca.pem}]}
{{- end }}
{{- with .root.Values.postgres.external.clientCertificate }}
{{- if .secretName }}
- {name: postgres-client, folder: postgres-client, secret: {{ .secretName }}, items: [{key: {{ .certificateKey }}, path: tls.crt}, {key: {{ .keyKey }}, path: tls.key}]}
{{- end }}
{{- end }}
{{- with .root.Values.tracing }}
{{- if and .endpoint .ca.secretName (ne $.component "keys") }}
- {name: tracing-ca, folder: tracing, secret: {{ .ca.secretName }}, items: [{key: {{ .ca.key }}, path: ca.pem}]}
{{- end }}
{{- end }}
{{- if has .component (list "ws-gateway" "notify-listener") }}
{{- with .root.Values.redis.external.ca }}
{{- if .secretName }}
- {name: redis-ca, folder: redis, secret: {{ .secretName }}, items: [{key: {{ .key }}, path: ca.pem}]}
{{- end }}
{{- end }}
{{- with .root.Values.redis.external.clientCertificate }}
{{- if .secretName }}
- {name: redis-client, folder: redis-client, secret: {{ .secretName }}, items: [{key: {{ .certificateKey }}, path: tls.crt}, {key: {{ .keyKey }}, path: tls.key}]}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "rowcast.mounts" -}}
{{- $values := get .root.Values (include "rowcast.values" .) -}}
{{- $mounts := list -}}
{{- range include "rowcast.files" . | fromYamlArray -}}
{{- $mounts = append $mounts (dict "name" .name "mountPath" (printf "/etc/rowcast/%s" .folder) "readOnly" true) -}}
{{- end -}}
{{- if ne .component "migrate" }}
{{- $mounts = append $mounts (dict "name" "log" "mountPath" "/etc/rowcast/log" "readOnly" true) -}}
{{- end }}
{{- with concat $mounts $values.volumeMounts }}
volumeMounts:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "rowcast.volumes" -}}
{{- $values := get .root.Values (include "rowcast.values" .) -}}
{{- $volumes := list -}}
{{- range include "rowcast.files" . | fromYamlArray -}}
{{- $volumes = append $volumes (dict "name" .name "secret" (dict "secretName" .secret "items" .items)) -}}
{{- end -}}
{{- if ne .component "migrate" }}
{{- $volumes = append $volumes (dict "name" "log" "configMap" (dict "name" (printf "%s-log" (include "rowcast.fullname" .root)))) -}}
{{- end }}
{{- with concat $volumes $values.volumes }}
volumes:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What is the same in every pod of the chart. Service links would set variables ROWCAST_..., which look like
settings. */}}
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
