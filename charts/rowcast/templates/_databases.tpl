{{/* A component's own Secret of Postgres, which has no name if it uses the common one. */}}
{{- define "rowcast.databaseSecret" -}}
{{- $values := ternary .root.Values.auth.keys (get .root.Values (include "rowcast.values" .)) (eq .component "keys") -}}
{{- $values.databaseSecret | toYaml -}}
{{- end -}}

{{/* Where a component's URL of Postgres is: `name` and `key` of a Secret. The listener and the Jobs need their own sessions,
and so a URL without a pooler. */}}
{{- define "rowcast.postgres.secret" -}}
{{- $values := .root.Values.postgres -}}
{{- $own := include "rowcast.databaseSecret" . | fromYaml -}}
{{- $direct := has .component (list "notify-listener" "migrate" "keys") -}}
{{- $existing := $values.external.existingSecret -}}
{{- if $own.name }}
name: {{ $own.name }}
key: {{ $own.key }}
{{- else if eq $values.mode "cnpg" }}
name: {{ include "rowcast.fullname" .root }}-postgres-app
key: uri
{{- else if and (eq $values.mode "external") $existing.name }}
name: {{ $existing.name }}
key: {{ and $direct $existing.directUrlKey | default $existing.urlKey }}
{{- else }}
name: {{ include "rowcast.postgres.ownSecret" . }}
key: {{ ternary "direct-url" "url" (and $direct (eq $values.mode "external") (ne $values.external.directUrl "")) }}
{{- end }}
{{- end -}}

{{/* A component's settings of Postgres: a URL from a Secret, or user and password from one, with the other parts in the
ConfigMap. */}}
{{- define "rowcast.postgres.env" -}}
{{- $external := .root.Values.postgres.external -}}
{{- if $external.host -}}
{{- $own := include "rowcast.databaseSecret" . | fromYaml -}}
{{- $secret := ternary $own $external.credentialsSecret (ne $own.name "") -}}
{{- if $secret.userKey }}
- name: ROWCAST_DATABASE__USER
  valueFrom:
    secretKeyRef: {name: {{ $secret.name }}, key: {{ $secret.userKey }}}
{{- end }}
{{- if $secret.name }}
- name: ROWCAST_DATABASE__PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ $secret.name }}, key: {{ $secret.passwordKey }}}
{{- end }}
{{- else -}}
- name: ROWCAST_DATABASE__URL
  valueFrom:
    secretKeyRef:
      {{- include "rowcast.postgres.secret" . | nindent 6 }}
{{- end }}
{{- end -}}

{{/* The settings of Postgres that are not secret. */}}
{{- define "rowcast.postgres.config" -}}
{{- $external := .root.Values.postgres.external -}}
{{- $own := include "rowcast.databaseSecret" . | fromYaml -}}
{{- if $external.host }}
{{- $direct := and $external.directHost (has .component (list "notify-listener" "migrate" "keys")) }}
ROWCAST_DATABASE__HOST: {{ ternary $external.directHost $external.host (ne "" (toString ($direct | default ""))) | quote }}
ROWCAST_DATABASE__PORT: {{ ternary $external.directPort $external.port (ne "" (toString ($direct | default ""))) | int64 | quote }}
ROWCAST_DATABASE__NAME: {{ $external.database | quote }}
{{- if not (ternary $own.userKey $external.credentialsSecret.userKey (ne $own.name "")) }}
ROWCAST_DATABASE__USER: {{ $external.user | quote }}
{{- end }}
{{- end }}
{{- if include "rowcast.postgres.ca" .root }}
ROWCAST_DATABASE__CA: /etc/rowcast/postgres/ca.pem
{{- end }}
{{- if and (ne $external.pooler "none") (has .component (list "ingest" "ws-gateway")) }}
ROWCAST_DATABASE__POOLER: {{ $external.pooler | quote }}
{{- end }}
{{- with $external.sslmode }}
ROWCAST_DATABASE__SSLMODE: {{ . | quote }}
{{- end }}
{{- if $external.clientCertificate.secretName }}
ROWCAST_DATABASE__CERTIFICATE: /etc/rowcast/postgres-client/tls.crt
ROWCAST_DATABASE__KEY: /etc/rowcast/postgres-client/tls.key
{{- end }}
{{- end -}}

{{/* A hook runs before the release's Secret exists, and has its own. */}}
{{- define "rowcast.postgres.ownSecret" -}}
{{- $hook := and (eq .component "migrate") (eq .root.Values.migrate.mode "hook") -}}
{{- include "rowcast.fullname" .root }}-{{ ternary "migrate" "postgres" $hook }}
{{- end -}}

{{/* The Secret and key of the CA of Postgres, if one is set. */}}
{{- define "rowcast.postgres.ca" -}}
{{- $values := .Values.postgres -}}
{{- if and (eq $values.mode "external") $values.external.ca.secretName }}
name: {{ $values.external.ca.secretName }}
key: {{ $values.external.ca.key }}
{{- else if and (eq $values.mode "cnpg") $values.cnpg.verifyCa }}
name: {{ include "rowcast.fullname" . }}-postgres-ca
key: ca.crt
{{- end }}
{{- end -}}

{{- define "rowcast.redis.secret" -}}
{{- $existing := .Values.redis.external.existingSecret -}}
{{- if and (eq .Values.redis.mode "external") $existing.name }}
name: {{ $existing.name }}
key: {{ $existing.key }}
{{- else }}
name: {{ include "rowcast.fullname" . }}-redis
key: url
{{- end }}
{{- end -}}

{{/* The password of a database of the chart: that of the values, else the existing one, else a new one; the same
throughout a rendering, since more than one template uses it. */}}
{{- define "rowcast.dev.password" -}}
{{- $given := (get .root.Values .database).dev.password -}}
{{- $cached := printf "_%sPassword" .database -}}
{{- if $given -}}
{{- $given -}}
{{- else -}}
{{- if not (hasKey .root.Values $cached) -}}
{{- $secret := lookup "v1" "Secret" .root.Release.Namespace (printf "%s-%s" (include "rowcast.fullname" .root) .database) | default dict -}}
{{- $kept := get ($secret.data | default dict) "password" | default "" | b64dec -}}
{{- $_ := set .root.Values $cached ($kept | default (randAlphaNum 32)) -}}
{{- end -}}
{{- get .root.Values $cached -}}
{{- end -}}
{{- end -}}

{{/* The content of a database's Secret. */}}
{{- define "rowcast.postgres.data" -}}
{{- $values := .Values.postgres -}}
{{- if eq $values.mode "dev" -}}
{{- $password := include "rowcast.dev.password" (dict "root" . "database" "postgres") -}}
password: {{ $password | quote }}
url: {{ printf "postgres://rowcast:%s@%s-postgres:5432/rowcast" $password (include "rowcast.fullname" .) | quote }}
{{- else if and (eq $values.mode "external") $values.external.url (not $values.external.existingSecret.name) -}}
url: {{ $values.external.url | quote }}
{{- with $values.external.directUrl }}
direct-url: {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "rowcast.redis.data" -}}
{{- $values := .Values.redis -}}
{{- if eq $values.mode "dev" -}}
{{- $password := include "rowcast.dev.password" (dict "root" . "database" "redis") -}}
password: {{ $password | quote }}
url: {{ printf "redis://:%s@%s-redis:6379/0" $password (include "rowcast.fullname" .) | quote }}
{{- else if and $values.external.url (not $values.external.existingSecret.name) -}}
url: {{ $values.external.url | quote }}
{{- end }}
{{- end -}}
