#!/usr/bin/env bash
# From a clone to a scored request on AKS: the image built in your registry, deployed, asked once.
#
#   REGISTRY=myregistry RESOURCE_GROUP=mygroup CLUSTER=mycluster deploy/aks/up.sh cpu|gpu
#   REGISTRY=myregistry RESOURCE_GROUP=mygroup CLUSTER=mycluster deploy/aks/up.sh down
#
# Needs az (logged in), kubectl, openssl, curl; a cluster that may pull from the registry
# (`az aks update --attach-acr myregistry ...`). Again, it deploys what has changed; overlays/mine/ is yours to edit.
set -euo pipefail
cd "$(dirname "$0")"
: "${REGISTRY:?is the name of your container registry}" "${RESOURCE_GROUP:?is that of the cluster}" "${CLUSTER:?is its name}"
what=${1:-}
mine=overlays/mine/kustomization.yaml
KUBECONFIG=$(mktemp)  # yours stays as it is
export KUBECONFIG
forward=
trap '[ -z "$forward" ] || kill "$forward"; rm -f "$KUBECONFIG"' EXIT

case $what in
  cpu) target=(--target cpu) ;;
  gpu) target=() ;;
  down) ;;
  *) sed -n '2,8p' up.sh; exit 2 ;;
esac
az aks get-credentials --resource-group "$RESOURCE_GROUP" --name "$CLUSTER" --file "$KUBECONFIG"

if [ "$what" = down ]; then
  kubectl delete -k overlays/mine --ignore-not-found  # the namespace, so the keys, too
  az acr repository delete --name "$REGISTRY" --repository scoregate --yes
  exit
fi

# A tag of its own for each build: nodes keep what they have pulled, and an old one can be gone back to.
tag=$what-$(date -u +%Y%m%d-%H%M%S)
az acr build --registry "$REGISTRY" --image "scoregate:$tag" "${target[@]}" ../..

mkdir -p overlays/mine
[ -e "$mine" ] || cat >"$mine" <<END
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ../$what
# components:
#   - ../../components/ingress
images:
  - name: scoregate
    newName: $REGISTRY.azurecr.io/scoregate
    newTag: latest
END
sed -i "s/newTag: .*/newTag: $tag/" "$mine"

kubectl apply -f base/namespace.yaml
kubectl get secret scoregate-keys -n scoregate >/dev/null 2>&1 ||
  kubectl create secret generic scoregate-keys -n scoregate --from-literal="keys=$(openssl rand -hex 32)"
kubectl apply -k overlays/mine
kubectl rollout status deployment/scoregate -n scoregate --timeout=30m

key=$(kubectl get secret scoregate-keys -n scoregate -o jsonpath='{.data.keys}' | base64 -d | head -1)
kubectl port-forward -n scoregate service/scoregate 5001:80 >/dev/null &
forward=$!
curl -sS --retry 10 --retry-connrefused --retry-delay 1 --fail-with-body -X POST localhost:5001/score \
  -H "Authorization: Bearer $key" -d @"${REQUEST:-../../examples/digits/request.json}"
echo
