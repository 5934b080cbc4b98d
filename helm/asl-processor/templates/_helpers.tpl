{{- define "asl.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* 40 characters: the pods of a role add to it, and a pod's name is a slot. */}}
{{- define "asl.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "asl.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "asl.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Takes (list $ component). */}}
{{- define "asl.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "asl.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "asl.labels" -}}
{{- $root := index . 0 -}}
{{ include "asl.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "asl.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "asl.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Takes (list $ image): an entry of workers may have its own. */}}
{{- define "asl.image" -}}
{{- $root := index . 0 -}}
{{- $image := merge (dict) (default (dict) (index . 1)) $root.Values.image -}}
image: {{ printf "%s:%s" $image.repository (default $root.Chart.AppVersion $image.tag | toString) | quote }}
imagePullPolicy: {{ $image.pullPolicy }}
{{- end -}}

{{/* A changed setting makes new pods. */}}
{{- define "asl.checksum" -}}
checksum/settings: {{ include (print .Template.BasePath "/configmap.yaml") . | sha256sum }}
{{- end -}}

{{- define "asl.podSpec" -}}
serviceAccountName: {{ include "asl.serviceAccount" . }}
automountServiceAccountToken: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
volumes:
  - name: settings
    configMap:
      name: {{ include "asl.fullname" . }}
  - name: tmp
    emptyDir: {}
  {{- with .Values.kafka.tls.existingSecret }}
  - name: tls
    secret:
      secretName: {{ . }}
      defaultMode: 0440
  {{- end }}
{{- end -}}

{{/* Of a container: where its settings are. */}}
{{- define "asl.container" -}}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- with .Values.kafka.existingSecret }}
envFrom:
  - secretRef:
      name: {{ . }}
{{- end }}
volumeMounts:
  - name: settings
    mountPath: /etc/asl
    readOnly: true
  - name: tmp
    mountPath: /tmp
  {{- if .Values.kafka.tls.existingSecret }}
  - name: tls
    mountPath: /etc/asl-tls
    readOnly: true
  {{- end }}
{{- end -}}

{{- define "asl.env" -}}
- name: ASL_SETTINGS
  value: /etc/asl/asl.toml
{{- end -}}

{{- define "asl.healthEnv" -}}
- name: ASL_HEALTH_HOST
  value: 0.0.0.0
- name: ASL_HEALTH_PORT
  value: {{ .Values.health.port | quote }}
{{- end -}}

{{/* Takes a role's values. */}}
{{- define "asl.probes" -}}
ports:
  - name: health
    containerPort: {{ (index . 0).Values.health.port }}
    protocol: TCP
startupProbe:
  httpGet: {path: /health/live, port: health}
  {{- toYaml (index . 1).startupProbe | nindent 2 }}
livenessProbe:
  httpGet: {path: /health/live, port: health}
  {{- toYaml (index . 1).livenessProbe | nindent 2 }}
readinessProbe:
  httpGet: {path: /health/ready, port: health}
  {{- toYaml (index . 1).readinessProbe | nindent 2 }}
{{- end -}}

{{- define "asl.placing" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
