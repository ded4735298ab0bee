{{/* What the schema cannot see: values that do not go together. All faults at once, each with what to set. */}}
{{- define "rowcast.faults" -}}
{{- $values := .Values -}}
{{- $faults := list -}}
{{- $postgres := $values.postgres -}}
{{- $redis := $values.redis -}}
{{- if eq $postgres.mode "external" -}}
{{- $external := $postgres.external -}}
{{- if not (or $external.url $external.existingSecret.name) -}}
{{- $faults = append $faults "Postgres is missing: set postgres.external.url or postgres.external.existingSecret.name, or postgres.mode=dev for a trial, or postgres.mode=cnpg" -}}
{{- end -}}
{{- if and $external.url $external.existingSecret.name -}}
{{- $faults = append $faults "Postgres is said twice: set postgres.external.url or postgres.external.existingSecret.name, not both" -}}
{{- end -}}
{{- if and $external.directUrl $external.existingSecret.name -}}
{{- $faults = append $faults "with postgres.external.existingSecret.name set postgres.external.existingSecret.directUrlKey, not postgres.external.directUrl" -}}
{{- end -}}
{{- range $name, $url := dict "url" $external.url "directUrl" $external.directUrl -}}
{{- if and $url (not (regexMatch "^postgres(ql)?://" $url)) -}}
{{- $faults = append $faults (printf "postgres.external.%s must begin with postgres://" $name) -}}
{{- end -}}
{{- end -}}
{{- else if or $postgres.external.url $postgres.external.directUrl $postgres.external.existingSecret.name $postgres.external.ca.secretName -}}
{{- $faults = append $faults (printf "with postgres.mode=%s nothing of postgres.external is used: set postgres.mode=external, or take it out" $postgres.mode) -}}
{{- end -}}
{{- if eq $redis.mode "external" -}}
{{- $external := $redis.external -}}
{{- if not (or $external.url $external.existingSecret.name) -}}
{{- $faults = append $faults "Redis is missing: set redis.external.url or redis.external.existingSecret.name, or redis.mode=dev for a trial" -}}
{{- end -}}
{{- if and $external.url $external.existingSecret.name -}}
{{- $faults = append $faults "Redis is said twice: set redis.external.url or redis.external.existingSecret.name, not both" -}}
{{- end -}}
{{- if and $external.url (not (regexMatch "^rediss?://" $external.url)) -}}
{{- $faults = append $faults "redis.external.url must begin with redis:// or rediss://" -}}
{{- end -}}
{{- if and $external.ca.secretName (hasPrefix "redis://" $external.url) -}}
{{- $faults = append $faults "redis.external.ca is for TLS: set a redis.external.url that begins with rediss://" -}}
{{- end -}}
{{- if and $external.sentinel.hosts (not $external.sentinel.master) -}}
{{- $faults = append $faults "sentinels know a primary by its name: set redis.external.sentinel.master" -}}
{{- end -}}
{{- if and $external.sentinel.passwordSecret.name (not $external.sentinel.hosts) -}}
{{- $faults = append $faults "redis.external.sentinel.passwordSecret is for sentinels: set redis.external.sentinel.hosts" -}}
{{- end -}}
{{- if and $external.sentinel.master (not $external.sentinel.hosts) -}}
{{- $faults = append $faults "redis.external.sentinel.master is for sentinels: set redis.external.sentinel.hosts" -}}
{{- end -}}
{{- else if or $redis.external.url $redis.external.existingSecret.name $redis.external.sentinel.hosts $redis.external.sentinel.passwordSecret.name $redis.external.ca.secretName -}}
{{- $faults = append $faults "with redis.mode=dev nothing of redis.external is used: set redis.mode=external, or take it out" -}}
{{- end -}}
{{- if and $values.migrate.enabled (eq $values.migrate.mode "hook") (ne $postgres.mode "external") -}}
{{- $faults = append $faults (printf "a hook runs before the database of postgres.mode=%s is there: set migrate.mode=job" $postgres.mode) -}}
{{- end -}}
{{- if and (eq $values.listener.lease "off") (gt (int64 $values.listener.replicas) 1) -}}
{{- $faults = append $faults "without a Lease one pod forwards: set listener.replicas=1, or listener.lease=kubernetes" -}}
{{- end -}}
{{- range $component := list "ingest" "gateway" -}}
{{- $own := get $values $component -}}
{{- if and $own.autoscaling.enabled $own.keda.enabled -}}
{{- $faults = append $faults (printf "two would set the replicas: set %s.autoscaling.enabled or %s.keda.enabled, not both" $component $component) -}}
{{- end -}}
{{- range $kind := list "autoscaling" "keda" -}}
{{- $scaler := get $own $kind -}}
{{- if $scaler.enabled -}}
{{- if gt (int64 $scaler.minReplicas) (int64 $scaler.maxReplicas) -}}
{{- $faults = append $faults (printf "set %s.%s.minReplicas to at most %s.%s.maxReplicas" $component $kind $component $kind) -}}
{{- end -}}
{{- if not (or $scaler.targetCPUUtilizationPercentage $scaler.targetConnections $scaler.triggers) -}}
{{- $faults = append $faults (printf "%s.%s has nothing to go by: set %s.%s.targetCPUUtilizationPercentage%s" $component $kind $component $kind (ternary (printf " or %s.%s.targetConnections" $component $kind) "" (eq $component "gateway"))) -}}
{{- end -}}
{{- if and $scaler.targetCPUUtilizationPercentage (not (dig "requests" "cpu" "" $own.resources)) -}}
{{- $faults = append $faults (printf "%s.%s counts CPU in percent of the request: set %s.resources.requests.cpu" $component $kind $component) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $values.gateway.keda.enabled $values.gateway.keda.targetConnections (not $values.gateway.keda.prometheus) -}}
{{- $faults = append $faults "KEDA asks Prometheus for the connections: set gateway.keda.prometheus" -}}
{{- end -}}
{{- if and $values.httpRoute.enabled (not $values.httpRoute.parentRefs) -}}
{{- $faults = append $faults "a route belongs to a Gateway: set httpRoute.parentRefs" -}}
{{- end -}}
{{- range $component := list "ingest" "gateway" "listener" "migrate" -}}
{{- $own := get $values $component -}}
{{- if and (not $own.serviceAccount.create) (not $own.serviceAccount.name) -}}
{{- $faults = append $faults (printf "no ServiceAccount is made and none is named: set %s.serviceAccount.name" $component) -}}
{{- end -}}
{{- range $own.env -}}
{{- if has .name (list "ROWCAST_DATABASE__URL" "ROWCAST_REDIS__URL" "ROWCAST_REDIS__SENTINEL_PASSWORD" "ROWCAST_LEASE__NAMESPACE" "ROWCAST_LEASE__POD" "ROWCAST_LEASE__POD_UID") -}}
{{- $faults = append $faults (printf "%s.env has %s, which the chart sets: set postgres, redis or %s.databaseSecret" $component .name $component) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $accounts := list -}}
{{- range $component := list "ingest" "ws-gateway" "migrate" -}}
{{- $accounts = append $accounts (include "rowcast.account" (dict "root" $ "component" $component)) -}}
{{- end -}}
{{- if and (eq $values.listener.lease "kubernetes") (has (include "rowcast.account" (dict "root" . "component" "notify-listener")) $accounts) -}}
{{- $faults = append $faults "only the listener may touch its Lease: set a listener.serviceAccount.name that no other component has" -}}
{{- end -}}
{{- range $faults }}
- {{ . }}
{{- end -}}
{{- end -}}
