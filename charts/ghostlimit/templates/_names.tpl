{{- define "ghostlimit.labels" -}}
app.kubernetes.io/name: ghostlimit
app.kubernetes.io/part-of: ghostlimit
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "ghostlimit.controllerPodLabels" -}}
app.kubernetes.io/name: ghostlimit
app.kubernetes.io/component: controller
{{- end }}

{{- define "ghostlimit.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}
