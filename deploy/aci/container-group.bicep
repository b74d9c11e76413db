// The same container group as container-group.yaml. The keys of storage and log are looked up, not passed.

param location string = resourceGroup().location

@description('Host name of the container registry that holds scoregate:aci.')
param registry string

@description('User-assigned identity that may pull from the registry (AcrPull).')
param identityName string

@description('Storage account with a file share named models, which holds the folder triton.')
param storageAccount string

@description('Log Analytics workspace that takes the log lines.')
param workspaceName string

@description('The address becomes http://<dnsLabel>.<location>.azurecontainer.io:5001.')
param dnsLabel string

@secure()
@description('Keys that open /score, with commas between them.')
param authKeys string

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' existing = {
  name: identityName
}

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageAccount
}

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' existing = {
  name: workspaceName
}

resource scoregate 'Microsoft.ContainerInstance/containerGroups@2023-05-01' = {
  name: 'scoregate'
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    osType: 'Linux'
    restartPolicy: 'Always'
    imageRegistryCredentials: [
      {
        server: registry
        identity: identity.id
      }
    ]
    containers: [
      {
        name: 'scoregate'
        properties: {
          image: '${registry}/scoregate:aci'
          ports: [
            {
              port: 5001
              protocol: 'TCP'
            }
          ]
          environmentVariables: [
            {
              name: 'MODEL_DIR'
              value: '/models'
            }
            {
              name: 'WORKER_COUNT'
              value: '2'
            }
            {
              name: 'SCORING_TIMEOUT_MS'
              value: '60000'
            }
            {
              name: 'AUTH_KEYS'
              secureValue: authKeys
            }
          ]
          resources: {
            requests: {
              cpu: 2
              memoryInGB: 4
            }
          }
          volumeMounts: [
            {
              name: 'models'
              mountPath: '/models'
              readOnly: true
            }
          ]
          readinessProbe: {
            httpGet: {
              path: '/health/ready'
              port: 5001
              scheme: 'http'
            }
            periodSeconds: 5
            timeoutSeconds: 3
            failureThreshold: 2
          }
          livenessProbe: {
            httpGet: {
              path: '/health/live'
              port: 5001
              scheme: 'http'
            }
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 33
          }
        }
      }
    ]
    volumes: [
      {
        name: 'models'
        azureFile: {
          shareName: 'models'
          readOnly: true
          storageAccountName: storage.name
          storageAccountKey: storage.listKeys().keys[0].value
        }
      }
    ]
    ipAddress: {
      type: 'Public'
      dnsNameLabel: dnsLabel
      ports: [
        {
          port: 5001
          protocol: 'TCP'
        }
      ]
    }
    diagnostics: {
      logAnalytics: {
        workspaceId: workspace.properties.customerId
        workspaceKey: workspace.listKeys().primarySharedKey
        logType: 'ContainerInstanceLogs'
      }
    }
  }
}

output url string = 'http://${scoregate.properties.ipAddress.fqdn}:5001'
