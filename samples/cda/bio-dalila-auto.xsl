<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="#"?>
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:d="data:,contenu"
    xmlns:c="urn:hl7-org:v3">
  <xsl:output method="html" encoding="UTF-8"/>
  <xsl:template match="/">
    <html lang="fr">
      <head><title><xsl:value-of select="//c:ClinicalDocument/c:title"/></title></head>
      <body>
        <h1><xsl:value-of select="//c:ClinicalDocument/c:title"/></h1>
        <xsl:for-each select="//c:structuredBody//c:section">
          <h2><xsl:value-of select="c:title"/></h2>
          <p><xsl:value-of select="c:text"/></p>
        </xsl:for-each>
      </body>
    </html>
  </xsl:template>
  <d:Contenu>
<c:ClinicalDocument xmlns:c="urn:hl7-org:v3" xmlns:lab="urn:oid:1.3.6.1.4.1.19376.1.3.2" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <c:realmCode code="FR" />
  <c:typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040" />
  <c:templateId root="2.16.840.1.113883.2.8.2.1" />
  <c:templateId root="1.2.250.1.213.1.1.1.1" />
  <c:templateId root="1.3.6.1.4.1.19376.1.3.3" />
  <c:templateId root="1.2.250.1.213.1.1.1.55" extension="2024.01" />
  <c:id root="1.2.250.1.999.1.2.211" />
  <c:code code="11502-2" displayName="CR d'examens biologiques" codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC" />
  <c:title>Compte rendu d'examens biologiques</c:title>
  <c:effectiveTime value="20260311100000+0100" />
  <c:confidentialityCode code="N" displayName="Normal" codeSystem="2.16.840.1.113883.5.25" />
  <c:languageCode code="fr-FR" />
  <c:setId root="1.2.250.1.999.1.3.211" />
  <c:versionNumber value="1" />
  <c:recordTarget>
    <c:patientRole>
      <c:id root="1.2.250.1.213.1.4.10" extension="265079935204242" />
      <c:id root="1.2.250.1.999.1.1" extension="100004" />
      <c:addr use="H">
        <c:houseNumber>51</c:houseNumber>
        <c:streetName>Boulevard de la Gare</c:streetName>
        <c:postalCode>35990</c:postalCode>
        <c:city>VALMONT</c:city>
        <c:country>FRANCE</c:country>
      </c:addr>
      <c:telecom nullFlavor="NASK" />
      <c:patient classCode="PSN">
        <c:name>
          <c:family qualifier="BR">ESSAI-QUATRE</c:family>
          <c:given>DALILA ROSE</c:given>
          <c:given qualifier="BR">DALILA</c:given>
          <c:family qualifier="CL">ESSAI-CINQ</c:family>
        </c:name>
        <c:administrativeGenderCode code="F" displayName="Féminin" codeSystem="2.16.840.1.113883.5.1" />
        <c:birthTime value="19650708" />
        <c:birthplace>
          <c:place>
            <c:addr>
              <c:county>99352</c:county>
              <c:city>ALGERIE</c:city>
            </c:addr>
          </c:place>
        </c:birthplace>
      </c:patient>
    </c:patientRole>
  </c:recordTarget>
  <c:author>
    <c:time value="20260311100000+0100" />
    <c:assignedAuthor>
      <c:id root="1.2.250.1.71.4.2.1" extension="899900000011" />
      <c:code code="G15_10/SM03" displayName="Médecin - Biologie médicale (SM)" codeSystem="1.2.250.1.213.1.1.4.5" />
      <c:assignedPerson>
        <c:name>
          <c:family>MODELE-BIO</c:family>
          <c:given>Odile</c:given>
          <c:suffix>DR</c:suffix>
        </c:name>
      </c:assignedPerson>
      <c:representedOrganization>
        <c:id root="1.2.250.1.71.4.2.2" extension="1990000026" />
        <c:name>CHU de Valmont</c:name>
      </c:representedOrganization>
    </c:assignedAuthor>
  </c:author>
  <c:custodian>
    <c:assignedCustodian>
      <c:representedCustodianOrganization>
        <c:id root="1.2.250.1.71.4.2.2" extension="1990000026" />
        <c:name>CHU de Valmont</c:name>
        <c:telecom value="tel:+33199000100" use="WP" />
        <c:addr>
          <c:houseNumber>1</c:houseNumber>
          <c:streetName>Place de l'Hôpital</c:streetName>
          <c:postalCode>35990</c:postalCode>
          <c:city>VALMONT</c:city>
        </c:addr>
      </c:representedCustodianOrganization>
    </c:assignedCustodian>
  </c:custodian>
  <c:legalAuthenticator>
    <c:time value="20260311100000+0100" />
    <c:signatureCode code="S" />
    <c:assignedEntity>
      <c:id root="1.2.250.1.71.4.2.1" extension="899900000011" />
      <c:assignedPerson>
        <c:name>
          <c:family>MODELE-BIO</c:family>
          <c:given>Odile</c:given>
          <c:suffix>DR</c:suffix>
        </c:name>
      </c:assignedPerson>
    </c:assignedEntity>
  </c:legalAuthenticator>
  <c:documentationOf>
    <c:serviceEvent>
      <c:code code="18719-5" displayName="Biochimie" codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC" />
      <lab:statusCode code="completed" />
      <c:effectiveTime>
        <c:low value="20260311080000+0100" />
        <c:high value="20260311100000+0100" />
      </c:effectiveTime>
      <c:performer typeCode="PRF">
        <c:assignedEntity>
          <c:id root="1.2.250.1.71.4.2.1" extension="899900000011" />
          <c:code code="G15_10/SM03" displayName="Médecin - Biologie médicale (SM)" codeSystem="1.2.250.1.213.1.1.4.5" />
          <c:assignedPerson>
            <c:name>
              <c:family>MODELE-BIO</c:family>
              <c:given>Odile</c:given>
              <c:suffix>DR</c:suffix>
            </c:name>
          </c:assignedPerson>
          <c:representedOrganization>
            <c:id root="1.2.250.1.71.4.2.2" extension="1990000026" />
            <c:name>CHU de Valmont</c:name>
            <c:standardIndustryClassCode code="ETABLISSEMENT" displayName="Etablissement de santé" codeSystem="1.2.250.1.213.1.1.4.9" />
          </c:representedOrganization>
        </c:assignedEntity>
      </c:performer>
    </c:serviceEvent>
  </c:documentationOf>
  <c:componentOf>
    <c:encompassingEncounter>
      <c:effectiveTime>
        <c:low value="20260311073000+0100" />
      </c:effectiveTime>
      <c:location>
        <c:healthCareFacility>
          <c:id root="1.2.250.1.71.4.2.2" extension="1990000026" />
          <c:code code="SA01" displayName="Etablissement public de santé" codeSystem="1.2.250.1.71.4.2.4" />
        </c:healthCareFacility>
      </c:location>
    </c:encompassingEncounter>
  </c:componentOf>
  <c:component>
    <c:structuredBody>
      <c:component>
        <c:section>
          <c:templateId root="1.3.6.1.4.1.19376.1.3.3.2.1" />
          <c:templateId root="1.2.250.1.213.1.1.2.70" />
          <c:code code="18719-5" displayName="Biochimie" codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC" />
          <c:title>Biochimie</c:title>
          <c:text>
            <c:table border="0">
              <c:thead>
                <c:tr><c:th>Examen</c:th><c:th>Résultat</c:th><c:th>Valeurs de référence</c:th></c:tr>
              </c:thead>
              <c:tbody>
                <c:tr><c:td><c:content ID="examen-1">Glucose [Moles/Volume] Sérum/Plasma</c:content></c:td><c:td>5.00 mmol/L</c:td><c:td>3.9 - 5.8</c:td></c:tr>
              </c:tbody>
            </c:table>
          </c:text>
          <c:entry typeCode="DRIV">
            <c:templateId root="1.3.6.1.4.1.19376.1.3.1" />
            <c:templateId root="1.2.250.1.213.1.1.3.21" />
            <c:act classCode="ACT" moodCode="EVN">
              <c:code code="18719-5" displayName="Biochimie" codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC" />
              <c:statusCode code="completed" />
              <c:entryRelationship typeCode="COMP">
                <c:observation classCode="OBS" moodCode="EVN">
                  <c:templateId root="1.3.6.1.4.1.19376.1.3.1.6" />
                  <c:templateId root="1.2.250.1.213.1.1.3.80" />
                  <c:id root="1.2.250.1.999.1.2.211.1" />
                  <c:code code="14749-6" displayName="Glucose [Moles/Volume] Sérum/Plasma" codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC">
                    <c:originalText><c:reference value="#examen-1" /></c:originalText>
                  </c:code>
                  <c:statusCode code="completed" />
                  <c:effectiveTime value="20260311093000+0100" />
                  <c:value xsi:type="c:PQ" value="5.00" unit="mmol/L" />
                  <c:interpretationCode code="N" codeSystem="2.16.840.1.113883.5.83" />
                  <c:referenceRange typeCode="REFV">
                    <c:observationRange classCode="OBS" moodCode="EVN.CRT">
                      <c:value xsi:type="c:IVL_PQ">
                        <c:low value="3.9" unit="mmol/L" />
                        <c:high value="5.8" unit="mmol/L" />
                      </c:value>
                      <c:interpretationCode code="N" codeSystem="2.16.840.1.113883.5.83" />
                    </c:observationRange>
                  </c:referenceRange>
                </c:observation>
              </c:entryRelationship>
            </c:act>
          </c:entry>
        </c:section>
      </c:component>
      <c:component>
        <c:section>
          <c:templateId root="1.2.250.1.213.1.1.2.243" />
          <c:code code="55108-5" displayName="Copie du document" codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC" />
          <c:title>Copie du document</c:title>
          <c:text><c:renderMultiMedia referencedObject="copie-pdf" /></c:text>
          <c:entry>
            <c:organizer classCode="CLUSTER" moodCode="EVN">
              <c:templateId root="1.2.250.1.213.1.1.3.18" />
              <c:code code="55107-7" displayName="Document attaché" codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC" />
              <c:statusCode code="completed" />
              <c:component>
                <c:observation classCode="OBS" moodCode="EVN">
                  <c:templateId root="1.3.6.1.4.1.19376.1.5.3.1.4.13" />
                  <c:templateId root="1.2.250.1.213.1.1.3.48" />
                  <c:templateId root="1.2.250.1.213.1.1.3.48.18" />
                  <c:code code="69764-9" displayName="Type de document" codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC" />
                  <c:statusCode code="completed" />
                  <c:effectiveTime nullFlavor="NA" />
                  <c:value xsi:type="c:CD" code="55108-5" displayName="Copie du document" codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC" />
                </c:observation>
              </c:component>
              <c:component>
                <c:observationMedia classCode="OBS" moodCode="EVN" ID="copie-pdf">
                  <c:templateId root="1.2.250.1.213.1.1.3.103" />
                  <c:value mediaType="application/pdf" representation="B64">JVBERi0xLjQKJeLjz9MKMSAwIG9iago8PCAvVHlwZSAvQ2F0YWxvZyAvUGFnZXMgMiAwIFIgL0xhbmcgKGZyLUZSKSA+PgplbmRvYmoKMiAwIG9iago8PCAvVHlwZSAvUGFnZXMgL0tpZHMgWzMgMCBSXSAvQ291bnQgMSA+PgplbmRvYmoKMyAwIG9iago8PCAvVHlwZSAvUGFnZSAvUGFyZW50IDIgMCBSIC9NZWRpYUJveCBbMCAwIDU5NSA4NDJdIC9Db250ZW50cyA0IDAgUiAvUmVzb3VyY2VzIDw8IC9Gb250IDw8IC9GMSA1IDAgUiA+PiA+PiA+PgplbmRvYmoKNCAwIG9iago8PCAvTGVuZ3RoIDIxNSA+PgpzdHJlYW0KQlQgL0YxIDExIFRmIDE1IFRMIDYwIDc4MCBUZAooQ29tcHRlIHJlbmR1IGQnZXhhbWVucyBiaW9sb2dpcXVlcykgVGogVCoKKEVTU0FJLVFVQVRSRSBEQUxJTEEsIG7pXChlXCkgbGUgMDgvMDcvMTk2NSkgVGogVCoKKEJpb2NoaW1pZSkgVGogVCoKKEdsdWNvc2UgW01vbGVzL1ZvbHVtZV0gU+lydW0vUGxhc21hIDogNS4wMCBtbW9sL0wgXCgzLjkgLSA1LjhcKSkgVGogVCoKRVQKZW5kc3RyZWFtCmVuZG9iago1IDAgb2JqCjw8IC9UeXBlIC9Gb250IC9TdWJ0eXBlIC9UeXBlMSAvQmFzZUZvbnQgL0hlbHZldGljYSAvRW5jb2RpbmcgL1dpbkFuc2lFbmNvZGluZyA+PgplbmRvYmoKeHJlZgowIDYKMDAwMDAwMDAwMCA2NTUzNSBmIAowMDAwMDAwMDE1IDAwMDAwIG4gCjAwMDAwMDAwNzggMDAwMDAgbiAKMDAwMDAwMDEzNSAwMDAwMCBuIAowMDAwMDAwMjYxIDAwMDAwIG4gCjAwMDAwMDA1MjcgMDAwMDAgbiAKdHJhaWxlcgo8PCAvU2l6ZSA2IC9Sb290IDEgMCBSID4+CnN0YXJ0eHJlZgo2MjQKJSVFT0YK</c:value>
                </c:observationMedia>
              </c:component>
            </c:organizer>
          </c:entry>
        </c:section>
      </c:component>
    </c:structuredBody>
  </c:component>
</c:ClinicalDocument>
  </d:Contenu>
</xsl:stylesheet>
