{{- define "rowcast.configMap" -}}
apiVersion: v1
kind: ConfigMap
{{ include "rowcast.metadata" . }}
data:
  {{- include "rowcast.config" . | nindent 2 }}
{{- end -}}

{{- define "rowcast.service" -}}
{{- $service := (get .root.Values (include "rowcast.values" .)).service -}}
apiVersion: v1
kind: Service
{{ include "rowcast.metadata" (merge (dict "annotations" $service.annotations) .) }}
spec:
  {{- mergeOverwrite (include "rowcast.service.spec" . | fromYaml) (deepCopy $service.spec) | toYaml | nindent 2 }}
{{- end -}}

{{- define "rowcast.service.spec" -}}
{{- $service := (get .root.Values (include "rowcast.values" .)).service -}}
type: {{ $service.type }}
{{- include "rowcast.ipFamilies" .root }}
selector:
  {{- include "rowcast.selector" . | nindent 2 }}
ports:
  - name: http
    port: {{ int64 $service.port }}
    targetPort: http
    appProtocol: {{ include "rowcast.scheme" . }}
    {{- if and (ne $service.type "ClusterIP") $service.nodePort }}
    nodePort: {{ int64 $service.nodePort }}
    {{- end }}
{{- end -}}

{{/* What the public port of a component speaks. */}}
{{- define "rowcast.scheme" -}}
{{- ternary "https" "http" (ne "" (get .root.Values (include "rowcast.values" .)).http.tls.secretName) -}}
{{- end -}}

{{/* The URL of a component's Service. */}}
{{- define "rowcast.url" -}}
{{- $port := int64 (get .root.Values (include "rowcast.values" .)).service.port -}}
{{- printf "%s://%s:%d" (include "rowcast.scheme" .) (include "rowcast.name" .) $port -}}
{{- end -}}

{{/* Set if a component serves only those who come by its balancer, or have a certificate: no pod of the chart does. */}}
{{- define "rowcast.closed" -}}
{{- with (get .root.Values (include "rowcast.values" .)).http -}}
{{- if .proxyProtocol -}}proxyProtocol{{- else if .tls.clientCa.secretName -}}tls.clientCa{{- end -}}
{{- end -}}
{{- end -}}

{{/* Set if `helm test` has a pod. */}}
{{- define "rowcast.tested" -}}
{{- $closed := printf "%s%s" (include "rowcast.closed" (dict "root" . "component" "ingest")) (include "rowcast.closed" (dict "root" . "component" "ws-gateway")) -}}
{{- $unknown := and .Values.auth.enabled (not .Values.test.credential.secretName) -}}
{{- if and .Values.test.enabled (not $closed) (not $unknown) -}}true{{- end -}}
{{- end -}}

{{/* The device key of the command line, as a variable. */}}
{{- define "rowcast.credential" -}}
{{- if .secretName -}}
- name: ROWCAST_CREDENTIAL
  valueFrom: {secretKeyRef: {name: {{ .secretName }}, key: {{ .key }}}}
{{- end -}}
{{- end -}}

{{/* The mount of a private CA, for the command line, and its volume. */}}
{{- define "rowcast.ca.mounts" -}}
{{- if .secretName }}
volumeMounts: [{name: ca, mountPath: /etc/rowcast/ca, readOnly: true}]
{{- end }}
{{- end -}}

{{- define "rowcast.ca.volumes" -}}
{{- if .secretName }}
volumes: [{name: ca, secret: {secretName: {{ .secretName }}, items: [{key: {{ .key }}, path: ca.pem}]}}]
{{- end }}
{{- end -}}

{{- define "rowcast.ipFamilies" -}}
{{- with .Values.network.ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.network.ipFamilies }}
ipFamilies:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "rowcast.serviceAccount" -}}
{{- $account := (get .root.Values (include "rowcast.values" .)).serviceAccount -}}
{{- if $account.create }}
---
apiVersion: v1
kind: ServiceAccount
{{- $annotations := merge (dict) $account.annotations (.hook | default dict) }}
{{ include "rowcast.metadata" (merge (dict "name" (include "rowcast.account" .) "annotations" $annotations) .) }}
# pods set whether they get its token; only the listener's do
automountServiceAccountToken: false
{{- end }}
{{- end -}}

{{/* Pods that are not ready may always be evicted: they serve no clients, and would block a drain. */}}
{{- define "rowcast.budget" -}}
{{- $budget := (get .root.Values (include "rowcast.values" .)).podDisruptionBudget -}}
{{- if $budget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
{{ include "rowcast.metadata" . }}
spec:
  maxUnavailable: {{ $budget.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "rowcast.selector" . | nindent 6 }}
{{- end }}
{{- end -}}

{{/* A HorizontalPodAutoscaler or a ScaledObject: never both. */}}
{{- define "rowcast.scalers" -}}
{{- $values := get .root.Values (include "rowcast.values" .) -}}
{{- with $values.autoscaling }}
{{- if .enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
{{ include "rowcast.metadata" $ }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "rowcast.name" $ }}
  minReplicas: {{ int64 .minReplicas }}
  maxReplicas: {{ int64 .maxReplicas }}
  metrics:
    {{- if .targetCPUUtilizationPercentage }}
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ int64 .targetCPUUtilizationPercentage }}}
    {{- end }}
    {{- if .targetConnections }}
    - type: Pods
      pods:
        metric: {name: rowcast_gateway_sessions}
        target: {type: AverageValue, averageValue: {{ int64 .targetConnections | quote }}}
    {{- end }}
    {{- with .metrics }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- with $values.keda }}
{{- if .enabled }}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
{{ include "rowcast.metadata" $ }}
spec:
  scaleTargetRef:
    name: {{ include "rowcast.name" $ }}
  minReplicaCount: {{ int64 .minReplicas }}
  maxReplicaCount: {{ int64 .maxReplicas }}
  pollingInterval: {{ int64 .pollingInterval }}
  cooldownPeriod: {{ int64 .cooldownPeriod }}
  {{- $fallback := .fallback }}
  {{- if and .targetConnections (not $fallback) }}
  {{- $fallback = dict "failureThreshold" 3 "replicas" (int64 .maxReplicas) }}
  {{- end }}
  {{- with $fallback }}
  fallback:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .behavior }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- toYaml . | nindent 8 }}
  {{- end }}
  triggers:
    {{- if .targetCPUUtilizationPercentage }}
    - type: cpu
      metricType: Utilization
      metadata: {value: {{ int64 .targetCPUUtilizationPercentage | quote }}}
    {{- end }}
    {{- if .targetConnections }}
    - type: prometheus
      metricType: AverageValue
      metadata:
        serverAddress: {{ .prometheus | quote }}
        query: {{ printf "sum(rowcast_gateway_sessions{namespace=%q,pod=~%q})" $.root.Release.Namespace (printf "%s-.*" (include "rowcast.name" $)) | quote }}
        threshold: {{ int64 .targetConnections | quote }}
        {{- with .prometheusAuthModes }}
        authModes: {{ . | quote }}
        {{- end }}
      {{- with .prometheusAuthentication }}
      authenticationRef:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- end }}
    {{- with .triggers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
{{- end }}
{{- end -}}
