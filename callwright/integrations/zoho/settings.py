"""What an operator sets to use Zoho CRM."""

from enum import StrEnum

from pydantic import Field, SecretStr

from callwright.registry import IntegrationSettings


class DataCenter(StrEnum):
    """Where an organisation's data lives; each data center has its own accounts host."""

    US = "us"
    EU = "eu"
    IN = "in"
    AU = "au"
    CN = "cn"
    JP = "jp"
    CA = "ca"
    SA = "sa"
    UK = "uk"


_ACCOUNTS = {
    DataCenter.US: "https://accounts.zoho.com",
    DataCenter.EU: "https://accounts.zoho.eu",
    DataCenter.IN: "https://accounts.zoho.in",
    DataCenter.AU: "https://accounts.zoho.com.au",
    DataCenter.CN: "https://accounts.zoho.com.cn",
    DataCenter.JP: "https://accounts.zoho.jp",
    DataCenter.CA: "https://accounts.zohocloud.ca",
    DataCenter.SA: "https://accounts.zoho.sa",
    DataCenter.UK: "https://accounts.zoho.uk",
}


class ZohoSettings(IntegrationSettings):
    """Credentials of a self client, and how hard to press on the API."""

    client_id: str = Field(
        validation_alias="ZOHO_CLIENT_ID", min_length=1, description="Client ID of the self client."
    )
    client_secret: SecretStr = Field(
        validation_alias="ZOHO_CLIENT_SECRET", min_length=1, description="Client secret of the self client."
    )
    refresh_token: SecretStr = Field(
        validation_alias="ZOHO_REFRESH_TOKEN",
        min_length=1,
        description="Refresh token got once for the self client's grant code; valid until it is revoked.",
    )
    data_center: DataCenter = Field(
        DataCenter.US,
        validation_alias="ZOHO_DATA_CENTER",
        description="Data center of the organisation: us, eu, in, au, cn, jp, ca, sa or uk.",
    )
    accounts_url: str | None = Field(
        None,
        validation_alias="ZOHO_ACCOUNTS_URL",
        pattern=r"^https?://",
        description="Accounts host, instead of the data center's own. The API host always comes from its answer.",
    )
    hook_secret: SecretStr = Field(
        SecretStr(""),
        validation_alias="ZOHO_HOOK_SECRET",
        description="Secret that a workflow rule or button sends to /hooks/crm/zoho; without it hooks are refused.",
    )
    default_agent: str | None = Field(
        None,
        validation_alias="ZOHO_DEFAULT_AGENT",
        description="Agent that calls when a hook names none.",
    )
    default_module: str = Field(
        "Leads",
        validation_alias="ZOHO_DEFAULT_MODULE",
        pattern=r"^[A-Za-z][A-Za-z0-9_]*$",
        description="Module of the record when a hook names none.",
    )
    max_concurrent: int = Field(
        4,
        validation_alias="ZOHO_MAX_CONCURRENT",
        ge=1,
        le=25,
        description="Requests in flight from one process. Zoho allows an organisation 5 (Free) to 25 (Ultimate).",
    )
    max_complex: int = Field(
        2,
        validation_alias="ZOHO_MAX_CONCURRENT_COMPLEX",
        ge=1,
        le=10,
        description="Searches and queries in flight from one process. Zoho allows an organisation 10.",
    )
    timeout_s: float = Field(
        20.0,
        validation_alias="ZOHO_TIMEOUT_S",
        gt=0,
        le=120,
        description="Longest wait for each read from Zoho, in seconds.",
    )
    metadata_ttl_s: float = Field(
        600.0,
        validation_alias="ZOHO_METADATA_TTL_S",
        ge=0,
        le=86400,
        description="How long field metadata is kept, in seconds.",
    )

    @property
    def accounts_host(self) -> str:
        """Where tokens come from, without a trailing slash."""
        return (self.accounts_url or _ACCOUNTS[self.data_center]).rstrip("/")
