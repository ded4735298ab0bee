{{/* What the schema cannot check: values that conflict. All faults are reported at once, each with what to set. */}}
{{- define "rowcast.faults" -}}
{{- $values := .Values -}}
{{- $faults := list -}}
{{- $postgres := $values.postgres -}}
{{- $redis := $values.redis -}}
{{- if and $values.image.tag $values.image.digest -}}
{{- $faults = append $faults "the image is set twice: set image.tag or image.digest, not both" -}}
{{- end -}}
{{- if eq $postgres.mode "external" -}}
{{- $external := $postgres.external -}}
{{- if not (or $external.url $external.existingSecret.name $external.host) -}}
{{- $faults = append $faults "Postgres is missing: set postgres.external.url or postgres.external.existingSecret.name or postgres.external.host, or postgres.mode=dev for a trial, or postgres.mode=cnpg" -}}
{{- end -}}
{{- if and $external.url $external.existingSecret.name -}}
{{- $faults = append $faults "Postgres is set twice: set postgres.external.url or postgres.external.existingSecret.name, not both" -}}
{{- end -}}
{{- if and $external.host (or $external.url $external.directUrl $external.existingSecret.name) -}}
{{- $faults = append $faults "Postgres is set twice: set postgres.external.host or a URL of it, not both" -}}
{{- end -}}
{{- if and (not $external.host) (or $external.credentialsSecret.name $external.directHost) -}}
{{- $faults = append $faults "postgres.external.credentialsSecret and postgres.external.directHost need a host: set postgres.external.host" -}}
{{- end -}}
{{- if and $external.credentialsSecret.userKey (not $external.credentialsSecret.name) -}}
{{- $faults = append $faults "postgres.external.credentialsSecret.userKey needs a Secret: set postgres.external.credentialsSecret.name" -}}
{{- end -}}
{{- if and $external.directUrl $external.existingSecret.name -}}
{{- $faults = append $faults "with postgres.external.existingSecret.name set postgres.external.existingSecret.directUrlKey, not postgres.external.directUrl" -}}
{{- end -}}
{{- if and (eq $external.pooler "transaction") (not (or $external.directUrl $external.directHost $external.existingSecret.directUrlKey $values.listener.databaseSecret.name)) -}}
{{- $faults = append $faults "the listener and migrate need their own sessions: with postgres.external.pooler=transaction set postgres.external.directUrl, directHost or existingSecret.directUrlKey" -}}
{{- end -}}
{{- range $name, $url := dict "url" $external.url "directUrl" $external.directUrl -}}
{{- if and $url (not (regexMatch "^postgres(ql)?://" $url)) -}}
{{- $faults = append $faults (printf "postgres.external.%s must begin with postgres://" $name) -}}
{{- end -}}
{{- end -}}
{{- else if or $postgres.external.url $postgres.external.directUrl $postgres.external.existingSecret.name $postgres.external.host $postgres.external.ca.secretName $postgres.external.sslmode $postgres.external.clientCertificate.secretName (ne $postgres.external.pooler "none") -}}
{{- $faults = append $faults (printf "with postgres.mode=%s postgres.external is not used: set postgres.mode=external, or remove it" $postgres.mode) -}}
{{- end -}}
{{- if eq $redis.mode "external" -}}
{{- $external := $redis.external -}}
{{- if not (or $external.url $external.existingSecret.name) -}}
{{- $faults = append $faults "Redis is missing: set redis.external.url or redis.external.existingSecret.name, or redis.mode=dev for a trial" -}}
{{- end -}}
{{- if and $external.url $external.existingSecret.name -}}
{{- $faults = append $faults "Redis is set twice: set redis.external.url or redis.external.existingSecret.name, not both" -}}
{{- end -}}
{{- if and $external.url (not (regexMatch "^rediss?://" $external.url)) -}}
{{- $faults = append $faults "redis.external.url must begin with redis:// or rediss://" -}}
{{- end -}}
{{- if and $external.ca.secretName (hasPrefix "redis://" $external.url) -}}
{{- $faults = append $faults "redis.external.ca needs TLS: set a redis.external.url that begins with rediss://" -}}
{{- end -}}
{{- if and $external.clientCertificate.secretName (hasPrefix "redis://" $external.url) -}}
{{- $faults = append $faults "redis.external.clientCertificate needs TLS: set a redis.external.url that begins with rediss://" -}}
{{- end -}}
{{- if and $external.credentialsSecret.userKey (not $external.credentialsSecret.name) -}}
{{- $faults = append $faults "redis.external.credentialsSecret.userKey needs a Secret: set redis.external.credentialsSecret.name" -}}
{{- end -}}
{{- if and $external.sentinel.user (not $external.sentinel.hosts) -}}
{{- $faults = append $faults "redis.external.sentinel.user needs sentinels: set redis.external.sentinel.hosts" -}}
{{- end -}}
{{- if and $external.sentinel.hosts (not $external.sentinel.master) -}}
{{- $faults = append $faults "sentinels need the primary's name: set redis.external.sentinel.master" -}}
{{- end -}}
{{- if and $external.sentinel.passwordSecret.name (not $external.sentinel.hosts) -}}
{{- $faults = append $faults "redis.external.sentinel.passwordSecret needs sentinels: set redis.external.sentinel.hosts" -}}
{{- end -}}
{{- if and $external.sentinel.master (not $external.sentinel.hosts) -}}
{{- $faults = append $faults "redis.external.sentinel.master needs sentinels: set redis.external.sentinel.hosts" -}}
{{- end -}}
{{- else if or $redis.external.url $redis.external.existingSecret.name $redis.external.sentinel.hosts $redis.external.sentinel.passwordSecret.name $redis.external.ca.secretName $redis.external.credentialsSecret.name $redis.external.clientCertificate.secretName -}}
{{- $faults = append $faults "with redis.mode=dev redis.external is not used: set redis.mode=external, or remove it" -}}
{{- end -}}
{{- if and $values.migrate.enabled (eq $values.migrate.mode "hook") (ne $postgres.mode "external") -}}
{{- $faults = append $faults (printf "a hook runs before the database of postgres.mode=%s exists: set migrate.mode=job" $postgres.mode) -}}
{{- end -}}
{{- if and (eq $values.listener.lease "off") (gt (int64 $values.listener.replicas) 1) -}}
{{- $faults = append $faults "without a Lease there can be only one pod: set listener.replicas=1, or listener.lease=kubernetes" -}}
{{- end -}}
{{- range $component := list "ingest" "gateway" -}}
{{- $own := get $values $component -}}
{{- if and $own.autoscaling.enabled $own.keda.enabled -}}
{{- $faults = append $faults (printf "two autoscalers conflict: set %s.autoscaling.enabled or %s.keda.enabled, not both" $component $component) -}}
{{- end -}}
{{- if and $own.http.proxyProtocol (not $own.http.trustedProxies) -}}
{{- $faults = append $faults (printf "%s.http.proxyProtocol needs the networks of the balancer: set %s.http.trustedProxies" $component $component) -}}
{{- end -}}
{{- if and $own.http.tls.clientCa.secretName (not $own.http.tls.secretName) -}}
{{- $faults = append $faults (printf "%s.http.tls.clientCa needs a certificate of the port: set %s.http.tls.secretName" $component $component) -}}
{{- end -}}
{{- range $kind := list "autoscaling" "keda" -}}
{{- $scaler := get $own $kind -}}
{{- if $scaler.enabled -}}
{{- if gt (int64 $scaler.minReplicas) (int64 $scaler.maxReplicas) -}}
{{- $faults = append $faults (printf "set %s.%s.minReplicas to at most %s.%s.maxReplicas" $component $kind $component $kind) -}}
{{- end -}}
{{- if not (or $scaler.targetCPUUtilizationPercentage $scaler.targetConnections $scaler.triggers $scaler.metrics) -}}
{{- $faults = append $faults (printf "%s.%s has no metric: set %s.%s.targetCPUUtilizationPercentage%s" $component $kind $component $kind (ternary (printf " or %s.%s.targetConnections" $component $kind) "" (eq $component "gateway"))) -}}
{{- end -}}
{{- if and $scaler.targetCPUUtilizationPercentage (not (dig "requests" "cpu" "" $own.resources)) -}}
{{- $faults = append $faults (printf "%s.%s needs a CPU request: set %s.resources.requests.cpu" $component $kind $component) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $values.canary.enabled $values.auth.enabled (not $values.canary.credential.secretName) -}}
{{- $faults = append $faults "with auth.enabled the canary needs a device key: set canary.credential.secretName" -}}
{{- end -}}
{{- if and (not $values.auth.enabled) (or $values.auth.anonymousRead $values.auth.anonymousWrite $values.auth.issuers.secretName $values.auth.keys.secretName) -}}
{{- $faults = append $faults "without auth.enabled nobody is asked for a credential: set auth.enabled=true, or remove the other values of auth" -}}
{{- end -}}
{{- if and $values.auth.keys.databaseSecret.name (not $values.auth.keys.secretName) -}}
{{- $faults = append $faults "auth.keys.databaseSecret is for the Job of device keys: set auth.keys.secretName" -}}
{{- end -}}
{{- if $values.canary.enabled -}}
{{- range $component, $url := dict "ingest" "ingestUrl" "ws-gateway" "gatewayUrls" -}}
{{- $closed := include "rowcast.closed" (dict "root" $ "component" $component) -}}
{{- if and $closed (not (get $values.canary $url)) -}}
{{- $faults = append $faults (printf "the canary cannot connect to a Service with http.%s: set canary.%s" $closed $url) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $values.gateway.keda.enabled $values.gateway.keda.targetConnections (not $values.gateway.keda.prometheus) -}}
{{- $faults = append $faults "KEDA reads the connections from Prometheus: set gateway.keda.prometheus" -}}
{{- end -}}
{{- $first := $values.ingress.prefix | trimPrefix "/" | splitList "/" | first -}}
{{- if has $first (list "api" "ws" "sse" "assets" "docs" "openapi.json" "asyncapi.json") -}}
{{- $faults = append $faults (printf "ingress.prefix must not begin with /%s, which the services use" $first) -}}
{{- end -}}
{{- with $values.httpRoute -}}
{{- if and .enabled (not .parentRefs) (not .gateway.enabled) -}}
{{- $faults = append $faults "an HTTPRoute needs a Gateway: set httpRoute.parentRefs, or httpRoute.gateway.enabled" -}}
{{- end -}}
{{- if and .gateway.enabled (or .parentRefs (not .enabled) (not .gateway.className) (not .gateway.listeners)) -}}
{{- $faults = append $faults "httpRoute.gateway needs the route: set httpRoute.enabled, httpRoute.gateway.className and httpRoute.gateway.listeners, and no httpRoute.parentRefs" -}}
{{- end -}}
{{- end -}}
{{- $dev := $postgres.dev.persistence -}}
{{- $set := lookup "apps/v1" "StatefulSet" .Release.Namespace (printf "%s-postgres" (include "rowcast.fullname" .)) -}}
{{- if and $set (eq $postgres.mode "dev") -}}
{{- $claim := first ($set.spec.volumeClaimTemplates | default (list dict)) -}}
{{- $had := dig "spec" "resources" "requests" "storage" "" $claim -}}
{{- $class := dig "spec" "storageClassName" "" $claim -}}
{{- if or (ne $had (ternary $dev.size "" $dev.enabled)) (and $had $dev.storageClass (ne $class $dev.storageClass)) -}}
{{- $faults = append $faults (printf "the volume of a StatefulSet cannot be changed (it is %s): leave postgres.dev.persistence as it was, or delete the StatefulSet %s-postgres, which stops the database for a moment, and also its claim to discard the data" (ternary (printf "%s of class %q" $had $class) "no volume" (ne $had "")) (include "rowcast.fullname" .)) -}}
{{- end -}}
{{- end -}}
{{- range $component := list "ingest" "gateway" "listener" "migrate" -}}
{{- $own := get $values $component -}}
{{- $twice := dict -}}
{{- $_ := include "rowcast.settings" (dict "above" "" "settings" $own.settings "to" dict "twice" $twice) -}}
{{- range $key, $_ := $twice -}}
{{- $faults = append $faults (printf "%s.settings has %s twice: set it dotted or nested, not both" $component $key) -}}
{{- end -}}
{{- if and (not $own.serviceAccount.create) (not $own.serviceAccount.name) -}}
{{- $faults = append $faults (printf "no ServiceAccount is created or named: set %s.serviceAccount.name" $component) -}}
{{- end -}}
{{- range $own.env -}}
{{- if has .name (list "ROWCAST_DATABASE__URL" "ROWCAST_DATABASE__USER" "ROWCAST_DATABASE__PASSWORD" "ROWCAST_REDIS__URL" "ROWCAST_REDIS__USER" "ROWCAST_REDIS__PASSWORD" "ROWCAST_REDIS__SENTINEL_PASSWORD" "ROWCAST_LEASE__NAMESPACE" "ROWCAST_LEASE__POD" "ROWCAST_LEASE__POD_UID") -}}
{{- $faults = append $faults (printf "%s.env has %s, which the chart sets: set postgres, redis or %s.databaseSecret" $component .name $component) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $accounts := list -}}
{{- range $component := list "ingest" "ws-gateway" "migrate" -}}
{{- $accounts = append $accounts (include "rowcast.account" (dict "root" $ "component" $component)) -}}
{{- end -}}
{{- if and (eq $values.listener.lease "kubernetes") (has (include "rowcast.account" (dict "root" . "component" "notify-listener")) $accounts) -}}
{{- $faults = append $faults "only the listener may access its Lease: set a listener.serviceAccount.name that no other component has" -}}
{{- end -}}
{{- range $faults }}
- {{ . }}
{{- end -}}
{{- end -}}
