"""Requests that make the exchange do something: checked here against the state of calls, then carried out."""

from callwright.integrations.infobip.simulator import services
from callwright.integrations.infobip.simulator.calls import SimCall, SimDialog
from callwright.integrations.infobip.simulator.errors import Refusal
from callwright.integrations.infobip.simulator.exchange import Exchange
from callwright.integrations.infobip.simulator.schemas import (
    CallRequest,
    DialogRequest,
    PhoneEndpoint,
    WebsocketEndpoint,
)

_ESTABLISHED_ONLY = frozenset({"NORMAL_HANGUP", "MACHINE_DETECTED"})


def create_call(exchange: Exchange, request: CallRequest) -> SimCall:
    """POST /calls/1/calls: dials a telephone; raises Refusal."""
    if request.calls_configuration_id not in exchange.account.configurations:
        raise Refusal(404, "Calls configuration was not found.")
    if not isinstance(request.endpoint, PhoneEndpoint):
        raise Refusal(400, fields={"endpoint.type": ["only PHONE is dialled here"]})
    detection = request.machine_detection
    if detection and 0 < detection.message_detection_timeout <= detection.detection_time:
        raise Refusal(400, fields={"machineDetection.detectionTime": ["must be lower than the timeout"]})
    call = SimCall(
        endpoint=request.endpoint,
        from_number=request.from_ or "",
        configuration_id=request.calls_configuration_id,
        started=exchange.now(),
        custom_data=request.custom_data,
        external_id=request.external_id,
        parent_call_id=request.parent_call_id,
        connect_timeout_s=request.connect_timeout,
        longest_s=request.max_duration,
        recording=request.recording,
        detection=detection,
    )
    exchange.dial(call)
    return call


def create_dialog(exchange: Exchange, request: DialogRequest) -> SimDialog:
    """POST /calls/1/dialogs: joins an established call with a new leg; raises Refusal."""
    parent = exchange.calls.get(request.parent_call_id)
    if parent is None or not parent.live:
        raise Refusal(404, "Call was not found.")
    if parent.state != "ESTABLISHED":
        raise Refusal(400, "Parent call is not established.")
    if exchange.live_dialog(parent) is not None:
        raise Refusal(400, "Parent call is already in a dialog.")
    order = request.child_call_request
    endpoint = order.endpoint
    if isinstance(endpoint, WebsocketEndpoint):
        config_id = endpoint.websocket_endpoint_config_id
        if config_id not in exchange.account.media_configs:
            field = "childCallRequest.endpoint.websocketEndpointConfigId"
            raise Refusal(400, fields={field: ["does not exist"]})
    child = SimCall(
        endpoint=endpoint,
        from_number=order.from_ or "",
        configuration_id=parent.configuration_id,
        started=exchange.now(),
        custom_data=order.custom_data,
        parent_call_id=parent.id,
        connect_timeout_s=order.connect_timeout,
    )
    hangs_up_parent = request.propagation_options.child_call_hangup
    dialog = SimDialog(parent, child, exchange.now(), request.max_duration, hangs_up_parent)
    exchange.join(dialog)
    return dialog


def hang_up(exchange: Exchange, call: SimCall, code: str | None) -> None:
    """POST /calls/1/calls/{callId}/hangup: some codes are for established calls, the others for all else."""
    established = call.state == "ESTABLISHED"
    if code is not None and (code in _ESTABLISHED_ONLY) != established:
        raise Refusal(400, f"{code} is not allowed in call state {call.state}.")
    exchange.end(call, code or ("NORMAL_HANGUP" if established else "CANCELLED"), "API")


def speak(exchange: Exchange, call: SimCall, text: str, language: str, event: str) -> None:
    """POST .../say and .../play: speaks to an established telephone, and tells `event` when it is over."""
    if call.id not in exchange.lines:
        raise Refusal(400, f"Action is not allowed in call state {call.state}.")
    exchange.spawn(call, services.speak(exchange, call, text, language.partition("-")[0], event))
