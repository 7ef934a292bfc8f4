{{- define "cwconnect.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "cwconnect.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "cwconnect.labels" -}}
{{ include "cwconnect.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* A pod: root, component, args, resources, probes (text, may be empty), restart (may be empty). */ -}}
{{- define "cwconnect.pod" -}}
metadata:
  labels: {{- include "cwconnect.labels" . | nindent 4 }}
  {{- with .root.Values.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .restart }}
  restartPolicy: {{ . }}
  {{- end }}
  automountServiceAccountToken: false # nothing here asks Kubernetes
  enableServiceLinks: false
  terminationGracePeriodSeconds: 30
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    seccompProfile: {type: RuntimeDefault}
  {{- with .root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . | quote }}
    {{- end }}
  {{- end }}
  {{- with .root.Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if not .restart }}
  topologySpreadConstraints: # two pods of a kind on two nodes, where there are two
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "cwconnect.selector" . | nindent 10 }}
  {{- end }}
  containers:
    - name: {{ .component }}
      image: "{{ .root.Values.image.repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}"
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args: {{ toJson .args }} # of the image's entrypoint, cwconnect
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      env:
        - {name: CWCONNECT_DATA_DIR, value: /data}
        - {name: CWCONNECT_LOG_FORMAT, value: {{ .root.Values.settings.CWCONNECT_LOG_FORMAT | default "json" | quote }}}
        {{- range $name, $key := .root.Values.secretFiles }}
        {{- if $key }}
        - {name: {{ $name }}_FILE, value: {{ printf "/run/secrets/cwconnect/%s" $key | quote }}}
        {{- end }}
        {{- end }}
        {{- range $name, $value := omit .root.Values.settings "CWCONNECT_DATA_DIR" "CWCONNECT_LOG_FORMAT" }}
        - {name: {{ $name }}, value: {{ toString $value | quote }}}
        {{- end }}
      {{- with .probes }}
      {{- . | nindent 6 }}
      {{- end }}
      resources: {{- toYaml .resources | nindent 8 }}
      volumeMounts:
        - {name: data, mountPath: /data}
        - {name: tmp, mountPath: /tmp}
        - {name: secrets, mountPath: /run/secrets/cwconnect, readOnly: true}
        {{- with .root.Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - {name: data, emptyDir: {}} # locks and drafts: what is kept is in PostgreSQL
    - {name: tmp, emptyDir: {}}
    - name: secrets
      secret:
        secretName: {{ .root.Values.existingSecret }}
        defaultMode: 0440
        items:
          {{- range $name, $key := .root.Values.secretFiles }}
          {{- if $key }}
          - {key: {{ $key | quote }}, path: {{ $key | quote }}}
          {{- end }}
          {{- end }}
    {{- with .root.Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
